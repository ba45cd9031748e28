// Texts whose contrast with what is behind them is below 4.5: [text, contrast].
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const over = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255);
  };
  const light = (rgb) => rgb.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, holder = node.parentElement;
    if (!node.textContent.trim() || holder.closest("script, noscript, dialog:not([open]), [hidden], :disabled, option, .skip, title")) continue;
    if (!holder.checkVisibility()) continue;
    const style = getComputedStyle(holder);
    const grounds = [];
    for (let at = holder; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const ground = over(grounds), ink = over([...grounds, holder instanceof SVGElement ? style.fill : style.color]);
    const [high, low] = [light(ground), light(ink)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) poor.push([node.textContent.trim().slice(0, 40), Math.round(contrast * 100) / 100, holder.className]);
  }
  return poor;
}
