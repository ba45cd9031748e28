"use strict";
// Relevance of pixels: from the report's numbers to values, a scale, and colours on a canvas.
sciexplain.raster = (() => {
  const STEPS = 512;

  // The values of {bits, step, data}: whole numbers of so many bits, deflated, in base64, times a step.
  async function values(stored) {
    const bytes = Uint8Array.from(atob(stored.data), (letter) => letter.charCodeAt(0));
    const inflated = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
    const whole = stored.bits === 8 ? new Int8Array(inflated) : new Int16Array(inflated);
    return Float64Array.from(whole, (value) => value * stored.step);
  }

  // |value| other than zero, rising: what percentiles are taken of.
  const sorted = new WeakMap();
  function magnitudes(of) {
    if (!sorted.has(of)) sorted.set(of, Float64Array.from(of.filter((value) => value !== 0), Math.abs).sort());
    return sorted.get(of);
  }

  // As numpy.percentile: linear between neighbours; 1 where all is zero.
  function percentile(rising, share) {
    if (!rising.length) return 1;
    const place = (share / 100) * (rising.length - 1), low = Math.floor(place);
    return rising[low] + (place - low) * (rising[Math.min(low + 1, rising.length - 1)] - rising[low]);
  }

  // The diverging map as bytes, and its two ends.
  const tables = new WeakMap();
  function table(rgb) {
    if (!tables.has(rgb)) {
      const made = new Uint8ClampedArray(3 * (STEPS + 1));
      for (let i = 0; i <= STEPS; i++) made.set(rgb((2 * i) / STEPS - 1), 3 * i);
      tables.set(rgb, made);
    }
    return tables.get(rgb);
  }

  // Colours alone, zero in the middle of the map.
  function heatmap(pixels, of, limit, rgb) {
    const colours = table(rgb);
    for (let i = 0; i < of.length; i++) {
      const place = 3 * Math.round(((Math.min(1, Math.max(-1, of[i] / limit)) + 1) / 2) * STEPS);
      pixels.set([colours[place], colours[place + 1], colours[place + 2], 255], 4 * i);
    }
  }

  // At 0 the input; towards 1 a pale grey version of it, with the colour of each sign as strong as |value|.
  function overlay(pixels, of, limit, rgb, input, opacity) {
    const colours = table(rgb), positive = 3 * STEPS;
    for (let i = 0; i < of.length; i++) {
      const at = 4 * i, end = of[i] < 0 ? 0 : positive;
      const pale = 140 + 0.4 * (0.299 * input[at] + 0.587 * input[at + 1] + 0.114 * input[at + 2]);
      const strength = opacity * Math.min(1, Math.abs(of[i]) / limit);
      for (let c = 0; c < 3; c++) {
        const ground = input[at + c] * (1 - opacity) + pale * opacity;
        pixels[at + c] = ground * (1 - strength) + colours[end + c] * strength;
      }
      pixels[at + 3] = 255;
    }
  }

  // The bytes of a picture (a data: URL), red, green, blue and opacity of each pixel.
  async function pixels(src, [height, width]) {
    const image = new Image();
    image.src = src;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.height, canvas.width] = [height, width];
    const drawing = canvas.getContext("2d", { willReadFrequently: true });
    drawing.drawImage(image, 0, 0, width, height);
    return drawing.getImageData(0, 0, width, height).data;
  }

  // As large as fits: whole multiples of a pixel, or all of it, smaller.
  function fit(canvas, width, height) {
    const room = Math.min(width / canvas.width, height / canvas.height);
    const scale = room >= 1 ? Math.floor(room) : room;
    canvas.style.width = `${Math.max(1, canvas.width * scale)}px`;
    canvas.style.height = `${Math.max(1, canvas.height * scale)}px`;
    canvas.classList.toggle("pixels", scale >= 1);
  }

  function put(canvas, [height, width], paint) {
    [canvas.height, canvas.width] = [height, width];
    const drawing = canvas.getContext("2d"), image = drawing.createImageData(width, height);
    paint(image.data);
    drawing.putImageData(image, 0, 0);
  }

  return { values, magnitudes, percentile, heatmap, overlay, pixels, fit, put };
})();
