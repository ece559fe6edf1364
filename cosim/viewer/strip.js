// The strip: what each row of a core does over the whole run, `kind(cycle, row)` of `kinds` (name, style, label), with a
// head at the cycle that is shown. Where a pixel stands for several cycles, it has the mean of their colours.
function startStrip(core, show) {
  const canvas = document.getElementById("strip");
  const lane = canvas.parentElement;
  const head = document.getElementById("head");
  canvas.setAttribute("aria-label", core.stripLabel);
  for (const kind of core.kinds.filter((kind) => kind.label)) {
    const item = made("li", "", document.getElementById("legend"));
    made("i", "swatch", item).style.background = `var(--${kind.name})`;
    item.append(kind.label);
  }
  const labels = core.spans.map((span, index) => {
    const end = index + 1 < core.spans.length ? core.spans[index + 1].begin : core.length;
    const label = made("span", "", document.getElementById("spans"), span.label);
    label.style.left = `${100 * span.begin / core.length}%`;
    label.style.width = `${100 * (end - span.begin) / core.length}%`;
    return label;
  });

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return core.kinds.map(({name}) => {
      const hex = style.getPropertyValue(`--${name}`).trim();
      return [1, 3, 5].map((place) => Number.parseInt(hex.slice(place, place + 2), 16));
    });
  }

  function draw() {
    const scale = devicePixelRatio || 1;
    const rowHeight = Math.max(2, Math.min(14, Math.floor(112 / core.rows)));
    const width = canvas.width = Math.max(1, Math.round(lane.clientWidth * scale));
    const height = canvas.height = Math.round(core.rows * rowHeight * scale);
    canvas.style.height = `${core.rows * rowHeight}px`;
    for (const label of labels) label.classList.toggle("narrow", label.scrollWidth > label.clientWidth + 1);
    const palette = colours();
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const gap = rowHeight > 4 ? Math.round(scale) : 0;
    for (let x = 0; x < width; x++) {
      const begin = Math.floor(x * core.length / width);
      const end = Math.max(begin + 1, Math.floor((x + 1) * core.length / width));
      for (let row = 0; row < core.rows; row++) {
        const sum = [0, 0, 0];
        for (let cycle = begin; cycle < end; cycle++) {
          const colour = palette[core.kind(cycle, row)];
          for (let part = 0; part < 3; part++) sum[part] += colour[part];
        }
        const last = Math.round((row + 1) * rowHeight * scale) - gap;
        for (let y = Math.round(row * rowHeight * scale); y < last; y++) {
          const place = 4 * (y * width + x);
          for (let part = 0; part < 3; part++) image.data[place + part] = sum[part] / (end - begin);
          image.data[place + 3] = 255;
        }
      }
    }
    context.putImageData(image, 0, 0);
  }

  function scrubTo(event) {
    const box = lane.getBoundingClientRect();
    show(Math.floor((event.clientX - box.left) / box.width * core.length));
  }
  lane.addEventListener("pointerdown", (event) => {
    lane.setPointerCapture(event.pointerId);
    scrubTo(event);
  });
  lane.addEventListener("pointermove", (event) => { if (event.buttons) scrubTo(event); });
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(lane);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  return {head: (cycle) => { head.style.left = `${100 * (cycle + .5) / core.length}%`; }};
}
