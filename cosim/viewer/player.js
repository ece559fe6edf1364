// Steps and plays through the cycles of a core: `length`, draw(cycle), say(cycle), isStall(cycle), and spans (begin,
// label), of what spanName says, as "layer". The strip is in strip.js.
function startPlayer(core) {
  const at = (id) => document.getElementById(id);
  const [caption, scrub, play, speed, count] = ["caption", "scrub", "play", "speed", "count"].map(at);
  const icon = {
    play: "M7 4.5v15l13-7.5z",
    pause: "M6.5 5h4v14h-4zM13.500 5h4v14h-4z",
  };
  let now = 0;
  let timer = 0;
  at("about").textContent = core.about;
  at("reading").innerHTML = core.reading;
  scrub.max = core.length - 1;
  at("span").textContent = core.spanName;
  at("layer").textContent = `Next ${core.spanName}`;
  at("layer").title = `Next ${core.spanName} (L)`;
  const strip = startStrip(core, show);

  function show(cycle) {
    now = Math.max(0, Math.min(core.length - 1, cycle));
    core.draw(now);
    write(caption, core.say(now));
    write(count, `cycle ${figure(now)} of ${figure(core.length - 1)}`);
    scrub.value = now;
    scrub.setAttribute("aria-valuetext", `cycle ${now}, ${core.place(now)}`);
    strip.head(now);
    if (!timer) remember();
  }

  // The address shows this cycle again. A page from a file may not be allowed to change its own.
  function remember() {
    try { history.replaceState(null, "", `#${now}`); } catch { /* the address stays */ }
  }

  function setPlaying(wanted) {
    clearTimeout(timer);
    timer = 0;
    if (wanted) {
      if (now === core.length - 1) show(0);
      tick();
    } else remember();
    // Spoken, each cycle would come before the last has been said.
    caption.setAttribute("aria-live", wanted ? "off" : "polite");
    play.querySelector("path").setAttribute("d", wanted ? icon.pause : icon.play);
    write(play.querySelector("span"), wanted ? "Pause" : "Play");
  }

  function tick() {
    timer = setTimeout(() => {
      show(now + 1);
      if (now === core.length - 1) setPlaying(false); else tick();
    }, 1000 / Number(speed.value));
  }

  function step(by) {
    setPlaying(false);
    show(now + by);
  }

  // The first cycle of the next stall: one that goes on is left first.
  function nextStall() {
    let cycle = now + 1;
    while (cycle < core.length && core.isStall(cycle) && core.isStall(cycle - 1)) cycle++;
    while (cycle < core.length && !core.isStall(cycle)) cycle++;
    setPlaying(false);
    if (cycle < core.length) show(cycle);
    else write(caption, `No stall comes after cycle ${figure(now)}.`);
  }

  function nextLayer() {
    setPlaying(false);
    const span = core.spans.find((span) => span.begin > now);
    if (span) show(span.begin);
    else write(caption, `No ${core.spanName} begins after cycle ${figure(now)}.`);
  }

  function faster(by) {
    const wanted = speed.selectedIndex + by;
    speed.selectedIndex = Math.max(0, Math.min(speed.options.length - 1, wanted));
  }

  const keys = {
    ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
    ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
    Home: () => step(-now),
    End: () => step(core.length),
    " ": () => setPlaying(!timer),
    s: nextStall,
    l: nextLayer,
    "+": () => faster(1),
    "-": () => faster(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    // A button in focus has the space key itself.
    if (!Object.hasOwn(keys, key) || (key === " " && event.target.closest("button, summary"))) return;
    event.preventDefault();
    keys[key](event);
  });
  at("back").onclick = () => step(-1);
  at("forward").onclick = () => step(1);
  play.onclick = () => setPlaying(!timer);
  at("stall").onclick = nextStall;
  at("layer").onclick = nextLayer;
  scrub.oninput = () => step(Number(scrub.value) - now);
  const ofAddress = () => Number.parseInt(location.hash.slice(1), 10) || 0;
  addEventListener("hashchange", () => { if (ofAddress() !== now) step(ofAddress() - now); });
  show(ofAddress());
}
