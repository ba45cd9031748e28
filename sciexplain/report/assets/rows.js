"use strict";
// All rows of the run, shard by shard as they are needed, and an order of them: what is filtered and sorted by.
sciexplain.rows = (() => {
  const { load, forget } = sciexplain;
  const { rows: index, samples, meta } = sciexplain.report();
  const INTEGERS = ["prediction", "target", "runner_up", "label", "cluster"];
  const NUMBERS = ["probability", "score", "gap", "seconds"];
  const AT_ONCE = 4;
  const count = index.count, shards = index.starts.length;

  const columns = { number: new Float64Array(count), detail: new Uint8Array(count) };
  for (const name of INTEGERS) columns[name] = new Int32Array(count).fill(-1);
  for (const name of NUMBERS) columns[name] = new Float64Array(count).fill(NaN);
  const ids = new Array(count), inputs = new Array(count);
  const done = new Uint8Array(shards);

  // ---- loading

  const size = (shard) => Math.min(index.size, count - shard * index.size);
  async function shard(s) {
    if (done[s]) return;
    const name = `rows/${String(s).padStart(5, "0")}`;
    const part = await load(name);
    if (done[s]) return;
    const from = s * index.size;
    for (const key of ["number", "detail", ...INTEGERS, ...NUMBERS]) {
      const values = part[key];
      if (!values) continue;
      const column = columns[key], missing = INTEGERS.includes(key) ? -1 : NaN;
      for (let i = 0; i < values.length; i++) column[from + i] = values[i] === null ? missing : values[i];
    }
    for (let i = 0; i < part.id.length; i++) {
      ids[from + i] = part.id[i];
      inputs[from + i] = part.prefix + (part.input ? part.input[i] : part.id[i]);
    }
    done[s] = 1;
    forget(name);
  }

  // Every shard, some at a time; told after each how many rows there are.
  let everything = null;
  const listeners = new Set();
  function all(listener) {
    if (listener) listeners.add(listener);
    everything ??= (async () => {
      let next = 0, rows = 0;
      const worker = async () => {
        while (next < shards) {
          const s = next++;
          await shard(s);
          rows += size(s);
          for (const tell of listeners) tell(rows);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      listeners.clear();
    })();
    return everything;
  }
  const complete = () => done.every(Boolean);

  // ---- one row

  // The last of ascending starts that is not above a number.
  function within(starts, value) {
    let low = 0, high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
  async function position(number) {
    const s = within(index.starts, number);
    if (s < 0) return -1;
    await shard(s);
    const from = s * index.size;
    const at = within(columns.number.subarray(from, from + size(s)), number);
    return at >= 0 && columns.number[from + at] === number ? from + at : -1;
  }
  // What people call it: molecules by their names, which are the input, and where that is none, by its id.
  const byInput = meta.title === "input";
  const named = (at) => (byInput && inputs[at]) || ids[at];
  function row(at) {
    const of = (name, missing) => (Object.is(columns[name][at], missing) ? null : columns[name][at]);
    const made = { number: columns.number[at], id: ids[at], input: inputs[at], detail: columns.detail[at] === 1 };
    made.name = named(at);
    for (const name of INTEGERS) made[name] = of(name, -1);
    for (const name of NUMBERS) made[name] = of(name, NaN);
    made.right = made.label === null || made.prediction === null ? null : made.label === made.prediction;
    return made;
  }
  // Rows at these positions; loads what they need.
  async function at(positions) {
    await Promise.all([...new Set(positions.map((p) => Math.floor(p / index.size)))].map(shard));
    return positions.map(row);
  }

  // ---- what belongs to a sample, if it is among those with a page of their own

  const KEPT = 300;
  const recent = [];
  async function sample(number) {
    const s = within(samples.starts, number);
    if (s < 0) return null;
    const name = `samples/${String(s).padStart(5, "0")}`;
    const part = await load(name);
    const seen = recent.indexOf(name);
    if (seen >= 0) recent.splice(seen, 1);
    recent.push(name);
    if (recent.length > KEPT) forget(recent.shift());
    const i = part.numbers.indexOf(number);
    return i < 0 ? null : part.samples[i];
  }

  // ---- orders

  const EXACT = ["prediction", "label", "target", "cluster"];
  const RANGES = ["probability", "score", "gap"];
  const SORTS = ["number", "id", ...INTEGERS, ...NUMBERS];

  // State of the address: what to filter and sort by. Unknown words are passed over.
  function parse(text) {
    const given = new URLSearchParams(text);
    const state = { sort: "number", down: false, text: given.get("text") ?? "", outcome: "", page: 1 };
    if (SORTS.includes(given.get("sort"))) state.sort = given.get("sort");
    state.down = given.get("order") === "down";
    if (["right", "wrong", "unlabelled", "page"].includes(given.get("only"))) state.outcome = given.get("only");
    for (const name of EXACT) state[name] = /^\d+$/.test(given.get(name) ?? "") ? Number(given.get(name)) : null;
    for (const name of RANGES) state[name] = range(given.get(name));
    if (/^[1-9]\d*$/.test(given.get("page") ?? "")) state.page = Number(given.get("page"));
    return state;
  }
  // "low..high", of which either may be left out: low ≤ x < high.
  function range(text) {
    const parts = (text ?? "").split("..");
    if (parts.length !== 2) return null;
    const [low, high] = parts.map((part) => (part.trim() === "" ? null : Number(part)));
    if (Number.isNaN(low) || Number.isNaN(high) || (low === null && high === null)) return null;
    return { low, high };
  }
  const written = ({ low, high }) => `${low ?? ""}..${high ?? ""}`;
  function format(state, { page = true } = {}) {
    const made = new URLSearchParams();
    if (state.text) made.set("text", state.text);
    if (state.outcome) made.set("only", state.outcome);
    for (const name of EXACT) if (state[name] !== null) made.set(name, state[name]);
    for (const name of RANGES) if (state[name]) made.set(name, written(state[name]));
    if (state.sort !== "number") made.set("sort", state.sort);
    if (state.down) made.set("order", "down");
    if (page && state.page > 1) made.set("page", state.page);
    return made.toString();
  }
  // All rows as they come.
  function natural(state) {
    const filtered = state.text || state.outcome || [...EXACT, ...RANGES].some((name) => state[name] !== null);
    return !filtered && state.sort === "number" && !state.down;
  }

  // Positions of the rows that are here and fit, in order; all of them once complete().
  function select(state) {
    const tests = [];
    for (const name of EXACT) if (state[name] !== null) tests.push((i) => columns[name][i] === state[name]);
    for (const name of RANGES) {
      if (!state[name]) continue;
      const { low, high } = state[name], column = columns[name];
      const size = name === "gap" ? Math.abs : (x) => x; // a ledger's gap is small or large, whatever its sign
      const within = (x) => (low === null || x >= low) && (high === null || x < high) && !Number.isNaN(x);
      tests.push((i) => within(size(column[i])));
    }
    const { label, prediction, detail } = columns;
    const judged = (i) => label[i] >= 0 && prediction[i] >= 0;
    if (state.outcome === "right") tests.push((i) => judged(i) && label[i] === prediction[i]);
    if (state.outcome === "wrong") tests.push((i) => judged(i) && label[i] !== prediction[i]);
    if (state.outcome === "unlabelled") tests.push((i) => label[i] < 0);
    if (state.outcome === "page") tests.push((i) => detail[i] === 1);
    const text = state.text.toLowerCase();
    if (text) tests.push((i) => ids[i].toLowerCase().includes(text) || named(i).toLowerCase().includes(text));
    const found = new Uint32Array(count);
    let n = 0;
    for (let s = 0; s < shards; s++) {
      if (!done[s]) continue;
      const from = s * index.size, to = from + size(s);
      for (let i = from; i < to; i++) if (tests.every((test) => test(i))) found[n++] = i;
    }
    return sorted(found.subarray(0, n), state);
  }
  const letters = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  function sorted(found, { sort, down }) {
    if (sort === "number") return down ? found.reverse() : found;
    const up = down ? -1 : 1;
    if (sort === "id") return found.sort((a, b) => up * letters.compare(named(a), named(b)) || a - b);
    const column = columns[sort], missing = (x) => Number.isNaN(x) || (x === -1 && INTEGERS.includes(sort));
    return found.sort((a, b) => {
      const x = column[a], y = column[b];
      const gone = missing(x) - missing(y);
      return gone || (missing(x) ? a - b : up * (x - y) || a - b);
    });
  }

  return { count, all, complete, position, at, sample, parse, format, natural, select, EXACT, RANGES };
})();
