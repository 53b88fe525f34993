"""ONNX Runtime's optimisations, made before the graph is loaded."""
