"use strict";
// How tests draw a sample: eight numbers as coloured squares.
sciexplain.views.dots = (() => {
  const { svg, element, colour } = sciexplain;
  const largest = (values) => Math.max(...values.map(Math.abs), 1e-9);

  function draw(place, { values }, { colourBar, meta, signal }) {
    const limit = largest(values);
    const squares = values.map((value, i) => {
      return svg("rect", { x: i * 40, y: 0, width: 38, height: 40, fill: colour(value / limit) });
    });
    place.append(
      svg("svg", { width: 320, height: 40, role: "img", "aria-label": "values" }, squares),
      element("p", { id: "said" }, `${values.length} values in ${meta.unit}`),
      colourBar(limit, "relevance"),
    );
    signal.addEventListener("abort", () => { globalThis.aborted = (globalThis.aborted ?? 0) + 1; });
  }

  function thumbnail(place, { values }) {
    const limit = largest(values);
    const squares = values.map((value, i) => {
      return svg("rect", { x: i % 4, y: Math.floor(i / 4), width: 1, height: 1, fill: colour(value / limit) });
    });
    place.append(svg("svg", { viewBox: "0 0 4 2", role: "img", "aria-label": "values" }, squares));
  }

  const numbers = ({ values }) => ({
    title: "Values",
    columns: [{ name: "place", kind: "number" }, { name: "value", kind: "number" }],
    rows: values.map((value, i) => [i, value]),
  });

  return { draw, thumbnail, numbers };
})();
