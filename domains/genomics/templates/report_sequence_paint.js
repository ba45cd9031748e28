"use strict";
// A stretch of a sequence on a canvas, from top to bottom: the whole of it, relevance, hypothetical relevance, the axis,
// sites, motifs, genes.
sciexplain.sequence ??= {};
sciexplain.sequence.paint = (() => {
  const LETTER = 5, NARROWEST = 3, RIGHT = 10, FONT = "12px system-ui, sans-serif", SMALL = "11px system-ui, sans-serif";
  const OVERVIEW = 34, RELEVANCE = 190, HYPOTHETICAL = 130, AXIS = 24, GAP = 10, NAME = 17;
  const ROW = { sites: 17, hits: 17, genes: 32 }, MOST_ROWS = { sites: 3, hits: 4, genes: 4 }, BAR = 10, LONGEST = 24;
  const NAMES = { sites: "sites", hits: "motif instances", genes: "genes" };
  const outlines = new Map();

  function outline(meta, letter) {
    const key = letter + meta.shapes[letter][0].length;
    if (!outlines.has(key)) outlines.set(key, new Path2D(meta.shapes[letter][0]));
    return outlines.get(key);
  }
  const shortened = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

  // Rows for spans [left, right] that must not lie on each other, the first that is free; where there are none left, the
  // last. `full`: whether that happened.
  function lanes(spans, most) {
    const order = spans.map((_, i) => i).sort((a, b) => spans[a][0] - spans[b][0] || spans[a][1] - spans[b][1]);
    const rows = new Array(spans.length), ends = [];
    let full = false;
    for (const i of order) {
      let row = ends.findIndex((end) => end <= spans[i][0]);
      if (row < 0 && ends.length === most) { full = true; row = most - 1; }
      if (row < 0) row = ends.length;
      ends[row] = Math.max(ends[row] ?? 0, spans[i][1]);
      rows[i] = row;
    }
    return { rows, count: ends.length, full };
  }

  // Where features lie at a scale: with their names while there is room for them, else without.
  function packed(ctx, features, kind, perLetter, length) {
    ctx.font = SMALL;
    const spans = (named) => features.map((feature) => {
      const left = Math.max(0, feature.left) * perLetter;
      const right = Math.max(left + NARROWEST, Math.min(length, feature.right) * perLetter);
      feature.width ??= ctx.measureText(shortened(feature.label)).width;
      if (!named) return [left, right + 1];
      if (kind === "genes") {
        feature.at = Math.max(0, Math.min(left, length * perLetter - feature.width));
        return [feature.at, Math.max(right, feature.at + feature.width) + 8];
      }
      // Behind it, or before it where the sequence ends.
      feature.before = right + feature.width + 8 > length * perLetter && left - feature.width - 8 >= 0;
      return feature.before ? [left - feature.width - 12, right + 1] : [left, right + feature.width + 12];
    });
    const all = lanes(spans(true), MOST_ROWS[kind]);
    if (!all.full) return { ...all, named: features.map(() => true) };
    const places = spans(false), { rows, count } = lanes(places, MOST_ROWS[kind]);
    // Names then stand where they happen to have room.
    const free = features.map(() => false), next = [];
    for (const i of features.map((_, i) => i).sort((a, b) => places[b][0] - places[a][0])) {
      const from = kind === "genes" ? features[i].at : places[i][1], until = next[rows[i]] ?? length * perLetter;
      free[i] = until - from >= features[i].width + 10;
      features[i].before = false;
      next[rows[i]] = kind === "genes" && free[i] ? Math.min(places[i][0], features[i].at) : places[i][0];
    }
    return { rows, count, named: free };
  }

  // What lies where; measured anew for another width, direction or choice. All lengths in CSS pixels.
  function layout(ctx, track, width, choice) {
    ctx.font = FONT;
    const gutter = Math.ceil(Math.max(44, ...ticks(...range(track.whole), 5).map((v) => ctx.measureText(sciexplain.number(v, 3)).width)) + 12);
    const made = { width, left: gutter, plot: width - gutter - RIGHT, parts: {}, rows: {} };
    let top = 0;
    const part = (name, height, gap = GAP) => { made.parts[name] = { top, height }; top += height + gap; };
    part("overview", OVERVIEW);
    top += NAME;
    part("relevance", RELEVANCE);
    if (choice.hypothetical && track.data.hypothetical) { top += NAME; part("hypothetical", HYPOTHETICAL); }
    part("axis", AXIS, 4);
    for (const kind of ["sites", "hits", "genes"]) {
      if (!track.meta.tracks.includes(kind)) continue;
      top += NAME;
      // As many rows as the whole needs with names: fewer when zoomed in, so the page keeps its height.
      const { count } = packed(ctx, track.features[kind], kind, made.plot / track.length, track.length);
      made.rows[kind] = Math.max(1, count);
      part(kind, made.rows[kind] * ROW[kind], 6);
    }
    made.height = top + 2;
    return made;
  }

  function ticks(low, high, most) {
    const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * size).find((s) => s >= rough);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n <= high / step + 1e-9; n++) found.push(n === 0 ? 0 : Number((n * step).toPrecision(12)));
    return found;
  }

  class Painter {
    constructor(ctx, ratio, track, view, made, inks, choice) {
      Object.assign(this, { ctx, ratio, track, view, made, inks, choice });
      this.perLetter = made.plot / (view.right - view.left);
      this.boxes = [];
    }
    x(edge) { return this.made.left + (edge - this.view.left) * this.perLetter; }
    sharp(length) { return Math.round(length * this.ratio) / this.ratio; }
    box(left, top, right, bottom, ink) {
      this.ctx.fillStyle = ink;
      const [x, y] = [this.sharp(left), this.sharp(top)];
      this.ctx.fillRect(x, y, Math.max(this.sharp(right) - x, 1 / this.ratio), Math.max(this.sharp(bottom) - y, 1 / this.ratio));
    }
    text(words, x, y, { ink = this.inks.quiet, align = "left", font = SMALL } = {}) {
      Object.assign(this.ctx, { font, fillStyle: ink, textAlign: align, textBaseline: "middle" });
      this.ctx.fillText(words, x, y);
    }
    within(part, draw) {
      const { ctx, made } = this;
      ctx.save();
      ctx.beginPath();
      ctx.rect(made.left, part.top - 1, made.plot, part.height + 2);
      ctx.clip();
      draw();
      ctx.restore();
    }

    all() {
      const { parts } = this.made;
      this.overview(parts.overview);
      if (this.cursor !== null) this.mark();
      this.relevance(parts.relevance);
      if (parts.hypothetical) this.hypothetical(parts.hypothetical);
      this.axis(parts.axis);
      for (const kind of ["sites", "hits", "genes"]) if (parts[kind]) this.features(kind, parts[kind]);
      return { boxes: this.boxes, mode: this.mode };
    }

    // ---- the whole, and which stretch of it is below

    overview(part) {
      const { track, made, view, inks } = this, columns = Math.max(1, Math.round(made.plot * this.ratio));
      const key = `${columns} ${track.turned}`;
      if (track.profile?.key !== key) track.profile = { key, ...track.bins(0, track.length, columns) };
      const [low, high] = range(track.whole);
      this.box(made.left, part.top, made.left + made.plot, part.top + part.height, inks.ground);
      const scale = made.plot / track.length;
      this.box(made.left + view.left * scale, part.top, made.left + view.right * scale, part.top + part.height, inks.page);
      this.columns(track.profile, made.left, part.top + 2, part.height - 4, low, high);
      const zero = part.top + 2 + (high / (high - low)) * (part.height - 4);
      this.box(made.left, zero, made.left + made.plot, zero, inks.strong);
      this.ctx.strokeStyle = inks.strong;
      this.ctx.lineWidth = 1;
      const [from, to] = [view.left, view.right].map((edge) => this.sharp(made.left + edge * scale));
      this.ctx.strokeRect(from + 0.5, part.top + 0.5, Math.max(to - from - 1, 1), part.height - 1);
    }
    columns({ low: lows, high: highs }, left, top, height, low, high) {
      const { ctx, inks, ratio } = this, unit = height / (high - low), zero = top + high * unit, width = 1 / ratio;
      const from = this.sharp(left);
      for (const [values, ink] of [[highs, inks.for], [lows, inks.against]]) {
        ctx.fillStyle = ink;
        for (let c = 0; c < values.length; c++) {
          if (values[c] === 0) continue;
          const tall = values[c] * unit;
          ctx.fillRect(from + c * width, tall > 0 ? zero - tall : zero, width, Math.max(Math.abs(tall), width / 2));
        }
      }
    }

    // ---- relevance

    relevance(part) {
      const { track, view, made, choice } = this;
      const [low, high] = range(choice.fit ? track.extent(view.left, view.right) : track.whole);
      const unit = part.height / (high - low), zero = part.top + high * unit;
      this.frame(part, `relevance${track.meta.unit ? ` (${track.meta.unit})` : ""}`, low, high);
      this.mode = this.perLetter >= LETTER ? "letters" : this.perLetter * this.ratio >= 1 ? "bars" : "bins";
      this.within(part, () => {
        if (this.mode === "letters") return this.each((j) => this.letter(track.letters[j], j, zero, track.values[j] * unit));
        if (this.mode === "bins") return this.columns(track.bins(view.left, view.right, Math.round(made.plot * this.ratio)), made.left, part.top, part.height, low, high);
        this.each((j) => {
          const tall = track.values[j] * unit;
          if (tall) this.box(this.x(j), Math.min(zero, zero - tall), this.x(j + 1), Math.max(zero, zero - tall), tall > 0 ? this.inks.for : this.inks.against);
        });
      });
      this.box(made.left, zero - 0.5 / this.ratio, made.left + made.plot, zero + 0.5 / this.ratio, this.inks.strong);
      this.scale = { zero, unit, low, high };
    }
    each(draw) {
      for (let j = Math.max(0, Math.floor(this.view.left)), end = Math.min(this.track.length, Math.ceil(this.view.right)); j < end; j++) draw(j);
    }
    // A letter that stands on a line, or, if it is against, hangs from it on its head.
    letter(given, j, floor, tall) {
      const { ctx, ratio, track, inks } = this, letter = given.toUpperCase(), shape = track.meta.shapes[letter];
      if (Math.abs(tall) < 0.3) return;
      const wide = 0.95 * this.perLetter * (shape?.[1] ?? 0.6), x = this.x(j + 0.5) - wide / 2;
      if (!shape) return this.box(x, Math.min(floor, floor - tall), x + wide, Math.max(floor, floor - tall), inks.quiet);
      ctx.save();
      ctx.setTransform(ratio * wide, 0, 0, -ratio * tall, ratio * x, ratio * floor);
      ctx.fillStyle = inks.letters[letter];
      ctx.fill(outline(track.meta, letter));
      ctx.restore();
    }
    frame(part, title, low, high) {
      const { made, ctx, inks } = this, unit = part.height / (high - low);
      this.text(title, made.left, part.top - NAME / 2 - 1);
      for (const value of ticks(low, high, 5)) {
        const y = part.top + (high - value) * unit;
        if (value !== 0) this.box(made.left, y, made.left + made.plot, y, inks.line);
        this.text(sciexplain.number(value, 3), made.left - 6, Math.min(Math.max(y, part.top + 5), part.top + part.height - 5), { align: "right", font: FONT });
      }
      ctx.lineWidth = 1;
    }

    // What each letter would get, stacked, the tallest outermost.
    hypothetical(part) {
      const { track, view, made, choice } = this;
      const rows = track.hypothetical, title = `hypothetical: what each letter would get${track.meta.unit ? ` (${track.meta.unit})` : ""}`;
      if (this.perLetter < LETTER) {
        this.text(title, made.left, part.top - NAME / 2 - 1);
        this.text("zoom in to see letters", made.left, part.top + part.height / 2, { font: FONT });
        return;
      }
      const whole = choice.fit ? null : (track.stacked ??= track.stackedExtent(0, track.length));
      const [low, high] = range(whole ?? track.stackedExtent(view.left, view.right));
      const unit = part.height / (high - low), zero = part.top + high * unit;
      this.frame(part, title, low, high);
      this.within(part, () => this.each((j) => {
        const order = rows.map(({ letter, values }) => [letter, values[j] * unit]).sort((a, b) => Math.abs(a[1]) - Math.abs(b[1]));
        let above = zero, below = zero;
        for (const [letter, tall] of order) {
          this.letter(letter, j, tall > 0 ? above : below, tall);
          if (tall > 0) above -= tall; else below -= tall;
        }
      }));
      this.box(made.left, zero - 0.5 / this.ratio, made.left + made.plot, zero + 0.5 / this.ratio, this.inks.strong);
    }

    // ---- the axis

    axis(part) {
      const { track, view, made, inks } = this;
      this.box(made.left, part.top, made.left + made.plot, part.top, inks.strong);
      this.ctx.font = FONT;
      const widest = Math.max(...[view.left, view.right - 1].map((edge) => this.ctx.measureText(track.written(Math.round(edge))).width));
      for (const [letter, words] of track.ticks(Math.max(0, view.left), Math.min(track.length, view.right), Math.floor(made.plot / (widest + 14)))) {
        const x = this.x(letter + 0.5);
        if (x < made.left || x > made.left + made.plot) continue;
        this.box(x - 0.5 / this.ratio, part.top, x + 0.5 / this.ratio, part.top + 5, inks.strong);
        const half = this.ctx.measureText(words).width / 2;
        this.text(words, Math.min(Math.max(x, half), made.width - half), part.top + 14, { ink: inks.ink, align: "center", font: FONT });
      }
    }

    // ---- what was found

    features(kind, part) {
      const { track, made, view, inks } = this, features = track.features[kind];
      this.text(NAMES[kind], made.left, part.top - NAME / 2 + 1);
      if (!features.length) return this.text(track.interval || kind !== "genes" ? "none" : "not known where this sequence lies", made.left + 8, part.top + ROW[kind] / 2);
      const { rows, named } = packed(this.ctx, features, kind, this.perLetter, track.length);
      const seen = features.filter((f) => f.right > view.left && f.left < view.right).length;
      if (!seen) this.text("none in view", made.left + 8, part.top + ROW[kind] / 2);
      this.within(part, () => features.forEach((feature, i) => {
        if (feature.right <= view.left || feature.left >= view.right || rows[i] >= made.rows[kind]) return;
        const top = part.top + rows[i] * ROW[kind], left = this.x(Math.max(0, feature.left)), right = Math.max(left + NARROWEST, this.x(Math.min(track.length, feature.right)));
        if (kind === "genes") this.gene(feature, left, right, top, named[i]);
        else this.bar(feature, left, right, top + (ROW[kind] - BAR) / 2, named[i]);
        this.boxes.push({ feature, left: left - 1, right: right + 1, top, bottom: top + ROW[kind] });
      }));
    }
    bar(feature, left, right, top, named) {
      const { ctx, inks } = this, tip = Math.min(5, (right - left) / 2);
      ctx.fillStyle = feature.value < 0 ? inks.against : inks.for;
      if (feature.rightwards === null) this.box(left, top, right, top + BAR, ctx.fillStyle);
      else {
        const [tail, head, side] = feature.rightwards ? [left, right, 1] : [right, left, -1];
        ctx.beginPath();
        ctx.moveTo(tail, top);
        ctx.lineTo(head - side * tip, top);
        ctx.lineTo(head, top + BAR / 2);
        ctx.lineTo(head - side * tip, top + BAR);
        ctx.lineTo(tail, top + BAR);
        ctx.fill();
      }
      if (!named) return;
      if (feature.before) this.text(shortened(feature.label), left - 4, top + BAR / 2, { ink: inks.ink, align: "right" });
      else this.text(shortened(feature.label), right + 4, top + BAR / 2, { ink: inks.ink });
    }
    // Coding exons tall, others low, introns a line whose arrows point downstream.
    gene(gene, left, right, top, named) {
      const { ctx, inks, made } = this, middle = top + 21, seen = [Math.max(left, made.left), Math.min(right, made.left + made.plot)];
      this.box(seen[0], middle - 0.5, seen[1], middle + 0.5, inks.gene);
      const blocks = [[gene.exons, gene.coding.length ? 3 : 5], [gene.coding, 5]].flatMap(([spans, half]) => spans.map(([from, to]) => [this.x(from), Math.max(this.x(to), this.x(from) + 1), half]));
      for (const [from, to, half] of blocks) this.box(Math.max(from, seen[0] - 1), middle - half, Math.min(to, seen[1] + 1), middle + half, inks.gene);
      if (gene.rightwards !== null) {
        const deep = gene.rightwards ? 3 : -3, wide = right - left, every = wide < 44 ? wide : 22;
        const begin = left + every / 2 + deep / 2, first = begin + Math.max(0, Math.ceil((seen[0] + 3 - begin) / every)) * every;
        for (let x = first; wide > 9 && x < seen[1] - 2; x += every) {
          const on = blocks.some(([from, to]) => x >= from && x <= to);
          ctx.strokeStyle = on ? inks.page : inks.gene;
          ctx.lineWidth = 1;
          ctx.beginPath();
          ctx.moveTo(x - deep, middle - 3);
          ctx.lineTo(x, middle);
          ctx.lineTo(x - deep, middle + 3);
          ctx.stroke();
        }
      }
      if (named) this.text(shortened(gene.label), Math.max(Math.min(seen[0], right - gene.width), this.x(0) + gene.at), top + 8, { ink: inks.ink });
    }

    // ---- the letter that is pointed at

    mark() {
      const { made, inks } = this, { relevance } = made.parts;
      const left = this.x(this.cursor), right = this.x(this.cursor + 1);
      if (right < made.left || left > made.left + made.plot) return;
      this.box(Math.max(left, made.left), relevance.top, Math.min(right, made.left + made.plot), made.height, inks.mark);
    }
  }

  // With a little room; never empty.
  function range([low, high]) {
    if (high === low) return [0, 1];
    const room = 0.04 * (high - low);
    return [low < 0 ? low - room : 0, high > 0 ? high + room : 0];
  }

  // Draws all; what lies where, for the pointer, and how relevance is shown: as "letters", "bars" or "bins".
  function paint(canvas, track, view, made, inks, choice, cursor, ratio) {
    const width = Math.round(made.width * ratio), height = Math.round(made.height * ratio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const ctx = canvas.getContext("2d");
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.fillStyle = inks.page;
    ctx.fillRect(0, 0, made.width, made.height);
    const painter = new Painter(ctx, ratio, track, view, made, inks, choice);
    painter.cursor = cursor;
    return painter.all();
  }

  return Object.assign(paint, { layout });
})();
