"use strict";
// One sequence as it lies along an axis: letters, relevance, and what was found in it. Letter j reaches from j to j + 1.
sciexplain.sequence ??= {};
sciexplain.sequence.Track = (() => {
  const MINUS = "−";
  const grouped = (n) => String(Math.abs(n)).replace(/\B(?=(\d{3})+$)/g, ",").replace(/^/, n < 0 ? MINUS : "");

  function bytes(text) {
    const raw = atob(text), made = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) made[i] = raw.charCodeAt(i);
    return made.buffer;
  }

  class Track {
    constructor(data, meta) {
      Object.assign(this, { data, meta, length: data.letters.length, explained: new Float32Array(bytes(data.relevance)) });
      if (data.interval) {
        const [chrom, start, end, strand] = data.interval;
        this.interval = { chrom, start, end, strand };
      }
      this.minus = this.interval?.strand === "-";
      this.turn(true);
    }

    // ---- which way round

    // Along the genome, whose letters are then the complements of a minus strand's; or as explained.
    turn(genome) {
      this.turned = this.minus && genome;
      this.descending = this.minus && !genome;
      this.letters = this.turned ? this.other(this.data.letters) : this.data.letters;
      this.values = this.turned ? this.explained.slice().reverse() : this.explained;
      this.kept = null;
      this.features = { sites: this.sites(), hits: this.hits(), genes: this.genes() };
    }

    // The other strand's letters, in the order in which it reads; case is kept.
    other(text) {
      const { complement } = this.meta;
      const of = (letter) => complement[letter] ?? complement[letter.toUpperCase()]?.toLowerCase() ?? letter;
      return [...text].reverse().map(of).join("");
    }
    // Letters of the sequence as explained, 0-based and half-open, to the edges of where they are drawn.
    edges(start, end) { return this.turned ? [this.length - end, this.length - start] : [start, end]; }
    // The same of bases of the chromosome.
    onGenome(start, end) {
      const { start: first, end: last } = this.interval;
      return this.descending ? [last - end, last - start] : [start - first, end - first];
    }
    rightwards(strand) { return strand === "+" || strand === "-" ? (strand === "+") !== this.turned : null; }

    sites() {
      return (this.data.sites ?? []).map(([start, end, value, q, consensus], i) => {
        const [left, right] = this.edges(start, end);
        return { kind: "site", key: `site ${i}`, left, right, value, q, name: this.turned ? this.other(consensus) : consensus, label: `q ${sciexplain.number(q, 2)}`, rightwards: null, strand: "" };
      });
    }
    hits() {
      return (this.data.hits ?? []).map(([start, end, strand, motif, value, p], i) => {
        const [left, right] = this.edges(start, end), { name, match } = this.meta.motifs[motif];
        const rightwards = this.rightwards(strand);
        const along = this.interval && rightwards !== null ? (rightwards !== this.descending ? "+" : "-") : strand;
        return { kind: "motif", key: `motif ${i}`, left, right, value, p, name, match, label: match || name, rightwards, strand: along };
      });
    }
    genes() {
      return (this.data.genes ?? []).map(([name, id, start, end, strand, exons, coding, q], i) => {
        const [left, right] = this.onGenome(start, end);
        const rightwards = strand === "+" || strand === "-" ? (strand === "+") !== this.descending : null;
        const spans = (list) => list.map(([from, to]) => this.onGenome(from, to));
        return { kind: "gene", key: `gene ${i}`, left, right, start, end, name, id, q, strand, label: name, rightwards, exons: spans(exons), coding: spans(coding) };
      });
    }

    // ---- numbers of letters

    // Its base, counted from 1 as browsers of genomes do; where the sequence lies nowhere, its position from 0.
    number(letter) {
      if (!this.interval) return letter;
      return this.descending ? this.interval.end - letter : this.interval.start + letter + 1;
    }
    letter(number) {
      if (!this.interval) return number;
      return this.descending ? this.interval.end - number : number - this.interval.start - 1;
    }
    written(letter) { return grouped(this.number(letter)); }
    // From the first to the last of the letters between two edges.
    place(left, right) {
      const first = Math.max(0, Math.floor(left)), last = Math.min(this.length, Math.ceil(right)) - 1;
      const span = `${this.written(first)}${first === last ? "" : `–${this.written(last)}`}`;
      return this.interval ? `${this.interval.chrom}:${span}` : `positions ${span}`;
    }
    // Letters with round numbers between two edges, at most so many: [[letter, text], …].
    ticks(left, right, most) {
      const numbers = [this.number(Math.floor(left)), this.number(Math.ceil(right) - 1)].sort((a, b) => a - b);
      const [low, high] = numbers;
      let step = 1;
      for (let size = 1; ; size *= 10) {
        step = [1, 2, 5].map((n) => n * size).find((s) => Math.floor(high / s) - Math.floor((low - 1) / s) <= Math.max(most, 1));
        if (step) break;
      }
      const found = [];
      for (let n = Math.ceil(low / step) * step; n <= high; n += step) found.push([this.letter(n), grouped(n)]);
      return found;
    }

    // ---- values

    get hypothetical() {
      const { hypothetical } = this.data;
      if (!hypothetical) return null;
      if (!this.kept) {
        const steps = new Int16Array(bytes(hypothetical.values)), { letters, complement } = this.meta;
        this.kept = [...letters].map((letter, row) => {
          const from = this.turned ? letters.indexOf(complement[letter]) : row;
          const values = Float32Array.from(steps.subarray(from * this.length, (from + 1) * this.length), (n) => n * hypothetical.step);
          return { letter, values: this.turned ? values.reverse() : values };
        });
      }
      return this.kept;
    }

    // The smallest and the largest value, and zero: of all, and of whole letters between two edges.
    get whole() { return (this.ends ??= this.extent(0, this.length)); }
    extent(left, right) {
      let low = 0, high = 0;
      for (let j = Math.max(0, Math.floor(left)), end = Math.min(this.length, Math.ceil(right)); j < end; j++) {
        const value = this.values[j];
        if (value < low) low = value;
        else if (value > high) high = value;
      }
      return [low, high];
    }
    // How far the letters reach that are stacked on each other, likewise.
    stackedExtent(left, right) {
      let low = 0, high = 0;
      for (let j = Math.max(0, Math.floor(left)), end = Math.min(this.length, Math.ceil(right)); j < end; j++) {
        let below = 0, above = 0;
        for (const { values } of this.hypothetical) if (values[j] < 0) below += values[j]; else above += values[j];
        low = Math.min(low, below);
        high = Math.max(high, above);
      }
      return [low, high];
    }
    // For so many columns of equal width between two edges, the smallest and largest value of the letters in each.
    bins(left, right, columns) {
      const low = new Float32Array(columns), high = new Float32Array(columns), width = (right - left) / columns;
      for (let c = 0; c < columns; c++) {
        const from = Math.max(0, Math.floor(left + c * width));
        const to = Math.min(this.length, Math.max(from + 1, Math.floor(left + (c + 1) * width)));
        for (let j = from; j < to; j++) {
          const value = this.values[j];
          if (value < low[c]) low[c] = value;
          else if (value > high[c]) high[c] = value;
        }
      }
      return { low, high };
    }
    // The letter with the most relevance, of either sign.
    strongest(left, right) {
      let found = Math.max(0, Math.floor(left));
      for (let j = found, end = Math.min(this.length, Math.ceil(right)); j < end; j++) if (Math.abs(this.values[j]) > Math.abs(this.values[found])) found = j;
      return found;
    }

    // ---- what someone asks for: a stretch, which is `whole`, or a place or name, to look `about`; or null

    find(text) {
      const asked = text.trim();
      const stretch = /^(?:(\S+):)?\s*([\d,.\s]+?)\s*(?:(?:-|–|\.\.|to)\s*([\d,.\s]+))?$/.exec(asked);
      if (stretch && (!stretch[1] || stretch[1] === this.interval?.chrom)) {
        const ends = [stretch[2], stretch[3] ?? stretch[2]].map((part) => this.letter(Number(part.replace(/[,.\s]/g, "")))).sort((a, b) => a - b);
        if (ends[0] >= this.length || ends[1] < 0) return null;
        return { [stretch[3] ? "whole" : "about"]: [Math.max(0, ends[0]), Math.min(this.length, ends[1] + 1)] };
      }
      const word = asked.toLowerCase(), of = (feature) => [feature.name, feature.id, feature.match].filter(Boolean).map((name) => name.toLowerCase());
      const { sites, hits, genes } = this.features, all = [...genes, ...hits, ...sites];
      const found = word && (all.find((feature) => of(feature).includes(word)) ?? all.find((feature) => of(feature).some((name) => name.includes(word))));
      if (found) return { about: [Math.max(0, found.left), Math.min(this.length, found.right)] };
      const letters = /^[A-Za-z]{4,}$/.test(asked) ? this.letters.toUpperCase().indexOf(asked.toUpperCase()) : -1;
      return letters < 0 ? null : { about: [letters, letters + asked.length] };
    }
  }

  return Track;
})();
