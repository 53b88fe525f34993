# Targets of the C++ runtime; the Makefile includes this file and defines BIN (the environment's programs), TEST_READY.
.PHONY: cpp test-cpp test-cpp-san test-cpp-arm bench-cpp

cpp: | $(BIN)/python ## build the C++ runtime: libsamplegraph and samplegraph-run, in build/cpp/release
	$(BIN)/python runtime/cpp/build.py release

test-cpp: $(TEST_READY) ## the C++ unit tests and the comparison of both runtimes; part of `make test`
	$(BIN)/python runtime/cpp/build.py test
	$(BIN)/python -m pytest tests/cpp $(PYTEST_ARGS)

test-cpp-san: $(TEST_READY) ## the C++ tests under sanitizers, and fuzzing
	$(BIN)/python tests/cpp/sanitize.py

test-cpp-arm: $(TEST_READY) ## cross-build the C++ runtime for 64-bit ARM, and run its tests under qemu
	$(BIN)/python tests/cpp/cross.py

bench-cpp: $(TEST_READY) build/digits-ddim-25.onnx ## what a call costs beyond the engine
	folder=$$($(BIN)/python runtime/cpp/build.py test --target samplegraph-overhead); \
	SAMPLEGRAPH_ONNXRUNTIME=$$($(BIN)/python -c 'import onnxruntime, pathlib; print(pathlib.Path(onnxruntime.__file__).parent / "capi")') \
	  $$folder/benchmarks/samplegraph-overhead build/digits-ddim-25.onnx 200

build/digits-ddim-25.onnx:
	$(BIN)/samplegraph export --scheduler ddim --steps 25
