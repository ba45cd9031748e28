"use strict";
// Controls of the gallery: what is filtered and sorted by. They show a state and change it by go(changes).
sciexplain.filters = (() => {
  const { rows, by, element, number, whole, className } = sciexplain;
  const report = sciexplain.report();
  const { filters: there } = report;

  const NAMES = {
    number: "number", id: "name", score: "score", probability: "probability", prediction: "prediction", label: "label",
    target: "explained class", runner_up: "second class", gap: "ledger gap", cluster: "cluster", seconds: "time",
  };
  const OUTCOMES = { right: "right", wrong: "wrong", unlabelled: "without a label", page: "with a drawing" };
  const DOWN_FIRST = ["score", "probability"]; // of which the highest are wanted first
  const called = (key, value) => (key === "cluster" ? String(value) : className(value));

  const outcomes = [
    ...(there.outcome ? ["right", "wrong", "unlabelled"] : []),
    ...(report.samples.count < rows.count ? ["page"] : []),
  ];
  const sorts = Object.keys(NAMES).filter((key) => {
    if (key === "runner_up") return there.prediction;
    return rows.EXACT.includes(key) || key === "probability" ? there[key] : true;
  });

  return (form, go) => {
    const fields = {};
    const option = (value, text) => element("option", { value }, text);
    const select = (options, onchange) => element("select", { onchange }, options.map((one) => option(...one)));
    const pair = (...parts) => element("span", { class: "between" }, parts);
    const add = (name, field) => {
      field.setAttribute("aria-label", name); // the label's own text has all options in it
      form.append(element("label", {}, name, field));
      return field;
    };

    const typed = () => go({ text: fields.text.value }, { replace: true });
    fields.text = add("name contains", element("input", { id: "text", type: "search", oninput: typed }));
    for (const key of rows.EXACT.filter((key) => there[key])) {
      const options = there[key].map(([value, count]) => [value, `${called(key, value)} (${whole(count)})`]);
      const change = () => go({ [key]: fields[key].value === "" ? null : Number(fields[key].value) });
      fields[key] = add(NAMES[key], select([["", "all"], ...options], change));
    }
    if (outcomes.length) {
      const options = [["", "all"], ...outcomes.map((key) => [key, OUTCOMES[key]])];
      fields.outcome = add("only", select(options, () => go({ outcome: fields.outcome.value })));
    }
    if (there.probability) {
      const value = (field) => (field.value === "" ? null : Number(field.value));
      const onchange = () => {
        const low = value(fields.low), high = value(fields.high);
        go({ probability: low === null && high === null ? null : { low, high } });
      };
      const bounds = { type: "number", min: 0, max: 1, step: 0.05 };
      const end = (name) => element("input", { ...bounds, "aria-label": `probability ${name}`, onchange });
      fields.low = end("from");
      fields.high = end("to");
      form.append(element("label", {}, "probability", pair(fields.low, "–", fields.high)));
    }
    fields.sort = select(sorts.map((key) => [key, NAMES[key]]), () => {
      go({ sort: fields.sort.value, down: DOWN_FIRST.includes(fields.sort.value) });
    });
    fields.sort.setAttribute("aria-label", "sort by");
    fields.down = element("button", { type: "button" });
    form.append(element("label", {}, "sort by", pair(fields.sort, fields.down)));
    form.addEventListener("submit", (event) => event.preventDefault());

    // What is asked for, in words, each with a button to be rid of it: ranges, too, which have no field of their own.
    function chips(state) {
      const made = [];
      const add = (text, changes) => {
        const without = { type: "button", "aria-label": `without ${text}`, onclick: () => go(changes) };
        made.push(element("button", without, element("bdi", {}, text), " ×"));
      };
      const range = ({ low, high }) => {
        if (low === null) return `below ${number(high)}`;
        if (high === null) return `from ${number(low)}`;
        return high === Number.MIN_VALUE ? "0" : `${number(low)} to ${number(high)}`;
      };
      if (state.text) add(`name contains “${state.text}”`, { text: "" });
      for (const key of rows.EXACT) {
        if (state[key] !== null) add(`${NAMES[key]} ${called(key, state[key])}`, { [key]: null });
      }
      if (state.outcome) add(OUTCOMES[state.outcome], { outcome: "" });
      for (const key of rows.RANGES) {
        if (state[key]) add(`${key === "gap" ? "|gap|" : NAMES[key]} ${range(state[key])}`, { [key]: null });
      }
      const all = element("button", { type: "button", onclick: () => go(rows.parse("")) }, "clear all");
      if (made.length > 1) made.push(all);
      by("chips").replaceChildren(...made);
    }

    const typing = (field) => field === document.activeElement;
    return {
      text: fields.text,
      // The controls say what the address says; but what is being typed is not touched.
      show(state) {
        if (!typing(fields.text) || !state.text) fields.text.value = state.text;
        for (const key of rows.EXACT) if (fields[key]) fields[key].value = state[key] ?? "";
        if (fields.outcome) fields.outcome.value = state.outcome;
        if (there.probability) {
          for (const end of ["low", "high"]) {
            if (!typing(fields[end])) fields[end].value = state.probability?.[end] ?? "";
          }
        }
        fields.sort.value = state.sort;
        fields.down.textContent = state.down ? "↓" : "↑";
        fields.down.title = state.down ? "descending" : "ascending";
        fields.down.setAttribute("aria-label", `${fields.down.title}; turn round`);
        fields.down.onclick = () => go({ down: !state.down });
        chips(state);
      },
    };
  };
})();
