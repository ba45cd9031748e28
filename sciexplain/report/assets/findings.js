"use strict";
// Tables of the whole data set, each loaded when it comes into sight.
(() => {
  const { by, element, load, fail, table, whole } = sciexplain;
  const { tables } = sciexplain.report();
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) if (isIntersecting) fill(target);
  }, { rootMargin: "600px" });
  const filled = new Map();
  function fill(section) {
    near.unobserve(section);
    const place = section.querySelector(".place");
    if (!filled.has(section)) {
      const draw = (found) => {
        place.replaceChildren();
        place.style.removeProperty("min-height");
        table(place, { ...found, name: section.id, label: found.title });
      };
      filled.set(section, load(`tables/${section.id}`).then(draw).catch((error) => fail(place, error)));
    }
    return filled.get(section);
  }
  if (!tables.length) {
    by("tables").append(element("p", { class: "quiet" }, "This run has no findings beyond its samples."));
  }
  if (tables.length > 1) {
    const link = (one) => element("a", { href: `#${one.key}` }, `${one.title} (${whole(one.rows)})`);
    by("contents").append(...tables.map(link));
  }
  for (const one of tables) {
    const room = { "min-height": `${Math.min(25, one.rows + 2) * 1.9}rem` }; // about what it will take
    const section = element("section", { id: one.key, class: "finding", "aria-label": one.title },
      element("h2", {}, one.title),
      one.note ? element("p", { class: "quiet" }, one.note) : null,
      element("div", { class: "place", style: room }));
    by("tables").append(section);
    near.observe(section);
  }
  // A link to one table: the browser looked for it before it was there, and those above it are not yet there.
  const asked = tables.findIndex((one) => `#${one.key}` === location.hash);
  if (asked >= 0) {
    const above = tables.slice(0, asked + 1).map((one) => fill(by(one.key)));
    Promise.all(above).then(() => by(tables[asked].key).scrollIntoView());
  }
})();
