"use strict";
// Tables of the whole data set, one after the other: each is added below those that are there, so that none moves.
(async () => {
  const { by, element, load, fail, table, whole } = sciexplain;
  const { tables } = sciexplain.report();
  if (!tables.length) {
    by("tables").append(element("p", { class: "quiet" }, "This run has no findings beyond its samples."));
  }
  if (tables.length > 1) {
    const link = (one) => element("a", { href: `#${one.key}` }, `${one.title} (${whole(one.rows)})`);
    by("contents").append(...tables.map(link));
  }

  async function add({ key, title, note }) {
    const place = element("div");
    const section = element("section", { id: key, class: "finding", "aria-label": title },
      element("h2", {}, title), note ? element("p", { class: "quiet" }, note) : null, place);
    try {
      table(place, { ...await load(`tables/${key}`), name: key, label: title });
      await Promise.allSettled([...place.querySelectorAll("img")].map((image) => image.decode())); // their sizes
    } catch (error) { fail(place, error); }
    by("tables").append(section);
    if (location.hash === `#${key}`) section.scrollIntoView(); // a link to what was not there yet
  }
  for (const one of tables) await add(one);
})();
