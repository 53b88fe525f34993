"""Reading and writing an ONNX IR graph: what every stage of the compiler shares."""
