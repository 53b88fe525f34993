/* Draw one digit and print it: sample digits-ddim-25.onnx 3 */
#include <samplegraph/samplegraph.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(void) {
  fprintf(stderr, "error: %s\n", sg_last_error());
  return 2;
}

int main(int count, char** values) {
  if (count != 3) return fprintf(stderr, "usage: %s GRAPH.onnx LABEL\n", values[0]), 2;
  const int64_t label = atoll(values[2]), rows = 1;
  const sg_array inputs[] = {{"class_labels", &label, &rows, 1, SG_INT64, 0}};
  sg_request request = SG_REQUEST_INIT;
  request.seed_kind = SG_SEED_ONE;
  request.inputs = inputs;
  request.input_count = 1;

  sg_engine* engine = NULL;
  static float image[16][16];
  if (sg_engine_open(values[1], NULL, &engine) != SG_OK) return fail();
  if (sg_sample(engine, &request, image, sizeof image) != SG_OK) return fail();
  for (int y = 0; y < 16; ++y, putchar('\n')) {
    for (int x = 0; x < 16; ++x) putchar(image[y][x] > 0 ? '#' : image[y][x] > -0.5 ? '+' : ' ');
  }
  sg_engine_close(engine);
  return 0;
}
