"use strict";
// A picture, what its pixels contribute, and what speaks for one class and what for another.
(() => {
  const { element, raster, number, signed, className } = sciexplain;
  const MODES = [["input", "Input"], ["overlay", "Overlay"], ["heatmap", "Heatmap"], ["beside", "Side by side"]];
  const GAP = 12, TIGHT = 8, NARROWEST = 105, WIDEST = 340, ALONE = 460;
  const STEP = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  // Kept from one sample to the next, so that they can be compared.
  const choice = { mode: "beside", opacity: 0.85, share: 100, channel: "" };

  const shade = (bytes, i) => {
    const [r, g, b] = bytes.subarray(4 * i, 4 * i + 3);
    return r === g && g === b ? `grey ${r}` : `red ${r}, green ${g}, blue ${b}`;
  };

  class View {
    constructor(place, data, context) {
      Object.assign(this, { place, data, context, unit: context.meta.unit ?? "" });
      [this.height, this.width] = data.size;
      this.pinned = this.pointed = null;
    }

    async read() {
      const { data } = this, { relevance, against, channels, picture, size } = data;
      const [main, other, input, ...parts] = await Promise.all([
        raster.values(relevance), against && raster.values(against.relevance), picture && raster.pixels(picture.src, size), ...(channels ?? []).map(raster.values)]);
      Object.assign(this, { main, input, parts });
      if (!against) return;
      const [first, second] = [this.name(data.of), this.name(against)];
      this.against = [
        { values: main, what: `for ${first}`, score: data.of.score },
        { values: other, what: `for ${second}`, score: against.score },
        { values: main.map((value, i) => value - other[i]), what: `${first} − ${second}`, score: data.of.score - against.score },
      ];
    }

    name(of) { return of.class === null || of.class === undefined ? "the output" : className(of.class); }
    quantity() { return this.unit ? `relevance (${this.unit})` : "relevance"; }

    // ---- what is chosen

    get values() { return this.parts[choice.channel] ?? this.main; }
    get step() { return (this.data.channels?.[choice.channel] ?? this.data.relevance).step; }
    get mode() { return this.data.picture || choice.mode === "heatmap" ? choice.mode : "heatmap"; }

    // ---- the page

    build() {
      const modes = this.data.picture ? MODES : MODES.filter(([key]) => key === "heatmap");
      this.buttons = modes.map(([key, text]) => element("button", { type: "button", "aria-pressed": "false", "data-mode": key, onclick: () => { choice.mode = key; this.arrange(); } }, text));
      this.opacity = this.slider("picture-opacity", "Heatmap over input", 0, 100, 1, choice.opacity * 100, (value) => { choice.opacity = value / 100; this.paint(); });
      this.clip = this.slider("picture-clip", "Full colour from", 80, 100, 0.1, choice.share, (value) => { choice.share = value; this.paint(); });
      const names = this.data.channels ? this.context.meta.channels : null;
      this.channel = names && element("label", { class: "picture-control" }, "Relevance of",
        element("select", { onchange: (event) => { choice.channel = event.target.value; this.paint(); } },
          element("option", { value: "" }, "all channels together"), names.map((name, i) => element("option", { value: i, selected: String(i) === choice.channel }, name))));
      this.clipped = element("p", { class: "picture-says" });
      this.reading = element("p", { class: "picture-read", "aria-live": "polite" });
      this.group = element("div", { class: "picture-panels" });
      this.bar = element("div", { class: "picture-bar" });
      this.place.append(element("div", { class: "picture" },
        element("div", { class: "picture-controls" },
          modes.length > 1 && element("div", { class: "picture-modes", role: "group", "aria-label": "What is shown" }, this.buttons),
          modes.length > 1 && this.opacity.label, this.clip.label, this.channel),
        this.group, this.bar, this.reading, this.clipped, this.stored(), this.opposed(),
        element("p", { class: "picture-save" }, element("button", { type: "button", onclick: () => this.save() }, "Save the values (CSV)"))));
      this.observer = new ResizeObserver(() => this.size());
      this.observer.observe(this.group);
      this.context.signal?.addEventListener("abort", () => this.observer.disconnect());
      this.arrange();
    }

    slider(id, text, min, max, step, value, act) {
      const output = element("output", { for: id });
      const input = element("input", { type: "range", id, min, max, step, value, oninput: () => act(Number(input.value)) });
      return { input, output, label: element("label", { class: "picture-control", for: id }, text, input, output) };
    }

    // How the picture became the input, where it is not the input itself, and what the numbers are worth.
    stored() {
      const { file, note } = this.data.picture ?? {};
      const kept = file && element("div", { class: "picture-kept", style: { left: `${100 * file.kept[1]}%`, top: `${100 * file.kept[0]}%`, width: `${100 * file.kept[3]}%`, height: `${100 * file.kept[2]}%` } });
      return [
        this.data.not_finite > 0 && element("p", { class: "picture-says" }, `${this.data.not_finite} values are not finite; they are shown as 0.`),
        !this.data.picture && element("p", { class: "picture-says" }, this.context.meta.no_inputs ?? "The picture itself could not be read again."),
        note && element("p", { class: "picture-says" }, note),
        file && element("figure", { class: "picture-file" }, element("div", { class: "picture-frame" }, element("img", { src: file.src, alt: "The picture in the file; the outlined part is what the model gets" }), kept),
          element("figcaption", {}, `in the file: ${file.size[1]} × ${file.size[0]} pixels; outlined: what the model gets`)),
      ];
    }

    opposed() {
      if (!this.against) {
        const why = this.data.no_against ?? this.context.meta.no_against;
        return why && element("section", { class: "picture-opposed" }, element("h3", {}, "Class against class"), element("p", { class: "picture-says" }, why));
      }
      const [first, second] = [this.name(this.data.of), this.name(this.data.against)];
      this.opposedGroup = element("div", { class: "picture-panels" });
      this.opposedBar = element("div", { class: "picture-bar" });
      return element("section", { class: "picture-opposed" },
        element("h3", {}, "What speaks for ", element("bdi", {}, first), ", what for ", element("bdi", {}, second), "?"),
        this.opposedGroup, this.opposedBar,
        element("p", { class: "picture-says" }, "One scale for all three. The third is the first minus the second, pixel by pixel: red speaks for ", element("bdi", {}, first), " rather than ", element("bdi", {}, second), ", blue the other way round; what both share cancels."));
    }

    panel(kind, of, caption, label) {
      const canvas = element("canvas", { "data-panel": kind });
      const mark = element("div", { class: "picture-mark", hidden: true });
      const frame = element("div", { class: "picture-frame", tabindex: 0, role: "application", "aria-label": `${label}; arrow keys go from pixel to pixel` }, canvas, mark);
      frame.addEventListener("pointermove", (event) => { this.pointed = this.at(canvas, event); this.point(); });
      frame.addEventListener("pointerleave", () => { this.pointed = null; this.point(); });
      frame.addEventListener("click", (event) => { this.pinned = this.at(canvas, event); this.point(); });
      frame.addEventListener("keydown", (event) => this.move(event));
      return { kind, of, canvas, mark, figure: element("figure", { class: "picture-panel" }, frame, element("figcaption", {}, caption)) };
    }

    arrange() {
      const mode = this.mode;
      this.buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === mode)));
      this.opacity.input.disabled = mode === "input" || mode === "heatmap";
      const score = (value) => `score ${number(value)}${this.unit ? ` ${this.unit}` : ""}`;
      const kinds = mode === "beside" ? ["input", "overlay", "heatmap"] : [mode];
      const captions = { input: "input", overlay: "heatmap over input", heatmap: `heatmap for ${this.name(this.data.of)}` };
      this.shown = kinds.map((kind) => this.panel(kind, null, captions[kind], captions[kind]));
      this.group.replaceChildren(...this.shown.map((panel) => panel.figure));
      const over = mode === "overlay" || mode === "input" ? "overlay" : "heatmap";
      this.facing = (this.against ?? []).map((side, i) => {
        const caption = [element("bdi", {}, side.what), element("br"), i < 2 ? score(side.score) : `difference ${number(side.score)}${this.unit ? ` ${this.unit}` : ""}`];
        return this.panel(over === "overlay" ? "overlay" : "heatmap", side, caption, side.what);
      });
      this.opposedGroup?.replaceChildren(...this.facing.map((panel) => panel.figure));
      this.paint();
      this.size();
      this.point();
    }

    // ---- drawing

    paint() {
      const { size } = this.data;
      const sorted = raster.magnitudes(this.values), limit = raster.percentile(sorted, choice.share);
      for (const panel of this.shown) {
        raster.put(panel.canvas, size, (pixels) => this.colour(panel.kind, pixels, this.values, limit));
      }
      if (this.against) {
        const joint = Math.max(...this.against.map((side) => raster.percentile(raster.magnitudes(side.values), choice.share)));
        for (const panel of this.facing) raster.put(panel.canvas, size, (pixels) => this.colour(panel.kind, pixels, panel.of.values, joint));
        this.opposedBar.replaceChildren(this.context.colourBar(joint, this.quantity()));
      }
      this.bar.replaceChildren(this.context.colourBar(limit, `${this.quantity()}: blue speaks against ${this.name(this.data.of)}, red for it`));
      this.opacity.output.textContent = `${Math.round(100 * choice.opacity)} %`;
      this.clip.output.textContent = choice.share === 100 ? "largest" : `${number(choice.share)} %`;
      const above = sorted.filter((value) => value > limit).length;
      this.clipped.textContent = choice.share === 100
        ? `The largest |relevance|, ${number(limit)}, has the full colour.`
        : `Full colour at the ${number(choice.share)}th percentile of |relevance| (pixels of zero do not count): ${number(limit)}. ${above} of ${this.values.length} pixels are beyond it and have the full colour too; the values below the pointer stay as they are.`;
      this.point();
    }

    colour(kind, pixels, values, limit) {
      const { rgb } = this.context;
      if (kind === "heatmap") raster.heatmap(pixels, values, limit, rgb);
      else if (kind === "input") pixels.set(this.input);
      else raster.overlay(pixels, values, limit, rgb, this.input, choice.opacity);
    }

    size() {
      for (const [group, panels] of [[this.group, this.shown], [this.opposedGroup, this.facing]]) {
        if (!group || !panels.length) continue;
        const room = group.clientWidth, gap = room < 420 ? TIGHT : GAP;
        group.style.gap = `${gap}px`;
        const columns = Math.max(1, Math.min(panels.length, Math.floor((room + gap) / (NARROWEST + gap))));
        const most = panels.length > 1 ? WIDEST : ALONE;
        const width = Math.min(most, (room - (columns - 1) * gap) / columns);
        panels.forEach((panel) => raster.fit(panel.canvas, width, most));
      }
    }

    // ---- pointing

    at(canvas, event) {
      const box = canvas.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.width);
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.height);
      return row < 0 || column < 0 || row >= this.height || column >= this.width ? null : { row, column };
    }

    move(event) {
      const step = STEP[event.key];
      if (event.key === "Escape") this.pinned = null;
      else if (!step) return;
      else if (!this.pinned) this.pinned = { row: this.height >> 1, column: this.width >> 1 };
      else {
        const times = event.shiftKey ? 8 : 1;
        this.pinned = { row: Math.min(this.height - 1, Math.max(0, this.pinned.row + times * step[0])), column: Math.min(this.width - 1, Math.max(0, this.pinned.column + times * step[1])) };
      }
      event.preventDefault();
      event.stopPropagation();
      this.pointed = null;
      this.point();
    }

    point() {
      const place = this.pointed ?? this.pinned;
      for (const { mark } of [...(this.shown ?? []), ...(this.facing ?? [])]) {
        mark.hidden = !place;
        if (!place) continue;
        mark.style.left = `${(100 * place.column) / this.width}%`;
        mark.style.top = `${(100 * place.row) / this.height}%`;
        mark.style.width = `${100 / this.width}%`;
        mark.style.height = `${100 / this.height}%`;
      }
      if (!place) {
        const half = number(this.step / 2, 2);
        this.reading.replaceChildren(`Point at a pixel for its relevance; values are true to ± ${half}${this.unit ? ` ${this.unit}` : ""}.`);
        return;
      }
      const i = place.row * this.width + place.column;
      const value = (of, kind) => element("data", { class: "picture-value", value: of, "data-of": kind }, `${signed(of)}${this.unit ? ` ${this.unit}` : ""}`);
      this.reading.replaceChildren(
        `Row ${place.row}, column ${place.column}`, this.input ? ` (${shade(this.input, i)})` : "", ": ",
        ...(this.against && this.values === this.main ? [] : ["relevance ", value(this.values[i], "shown"), this.against ? "; " : ""]),
        ...(this.against ?? []).flatMap((side, k) => [k ? "; " : "", element("bdi", {}, side.what), " ", value(side.values[i], k)]));
    }

    save() {
      const heads = ["row", "column", "relevance", ...(this.against ? [`relevance ${this.against[1].what}`] : [])];
      const rows = Array.from(this.values, (value, i) => [Math.floor(i / this.width), i % this.width, value, ...(this.against ? [this.against[1].values[i]] : [])]);
      sciexplain.download("relevance.csv", sciexplain.csv(heads, rows), "text/csv");
    }

  }

  async function draw(place, data, context) {
    const view = new View(place, data, context);
    await view.read();
    if (!context.signal?.aborted) view.build();
  }

  // The overlay alone, on a canvas as large as its place lets it be.
  async function thumbnail(place, data, context) {
    const values = await raster.values(data.relevance);
    const limit = raster.percentile(raster.magnitudes(values), 99.8);
    const canvas = element("canvas", { class: "picture-thumbnail", role: "img", "aria-label": "relevance over the picture" });
    const rgb = context?.rgb ?? sciexplain.rgb;
    raster.put(canvas, data.size, (pixels) => raster.heatmap(pixels, values, limit, rgb));
    const room = Math.max(48, place.clientWidth || 96);
    raster.fit(canvas, room, room);
    place.append(canvas);
    if (!data.picture) return;
    const input = await raster.pixels(data.picture.src, data.size);
    raster.put(canvas, data.size, (pixels) => raster.overlay(pixels, values, limit, rgb, input, 0.85));
  }

  sciexplain.views.picture = { draw, thumbnail };
})();
