// The time of the running episode: who drove each step, and the moment to go back to.
window.console_timeline = (() => {
  const {find, text} = window.console_elements;
  const clamp = (v, a, b) => Math.min(b, Math.max(a, v));
  const drove = {episode: '', steps: []};
  let chosen = null, chosenAt = 0, told = 0, standing = 0, dragging = false;
  const DRIVERS = {policy: '--policy', human: '--you', reflex: '--reflex'};

  const colours = {};
  const colour = (name) => colours[name] || (colours[name] = getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  addEventListener('console-theme', () => { for (const name of Object.keys(colours)) delete colours[name]; });

  function follow(p) {
    standing = p.step;
    const whole = (p.episode || '').split('+')[0];
    if (whole !== drove.episode) { drove.episode = whole; drove.steps = []; moment(null); }
    if (p.step < drove.steps.length) drove.steps.length = p.step;
    while (drove.steps.length < p.step) drove.steps.push(p.driver);
    if (chosen === null || dragging) return;
    const asked = performance.now() - chosenAt;
    // Asked for until the robot is there, or the person goes on.
    if ((p.step <= chosen && asked > 300) || (p.phase === 'running' && asked > 1000) || asked > 30000) moment(null);
  }

  function moment(step) {
    if (step === chosen) return;
    chosen = step;
    chosenAt = performance.now();
    tellMoment();
  }
  function tellMoment() {
    const wait = 100 - (performance.now() - told);
    if (wait > 0) { clearTimeout(tellMoment.later); tellMoment.later = setTimeout(tellMoment, wait); return; }
    told = performance.now();
    if (window.emitEvent) window.emitEvent('drive-moment', chosen);
  }

  function paint(p, slidable) {
    const canvas = find('d-time-canvas'), slider = find('d-moment');
    const scale = devicePixelRatio || 1, width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const g = canvas.getContext('2d'), total = Math.max(1, p.time_limit || drove.steps.length, drove.steps.length);
    g.clearRect(0, 0, width, height);
    let from = 0;
    for (let i = 1; i <= drove.steps.length; i++) {
      if (i < drove.steps.length && drove.steps[i] === drove.steps[from]) continue;
      const a = (from / total) * width, b = (i / total) * width, driver = drove.steps[from];
      g.fillStyle = colour(DRIVERS[driver] || '--nobody');
      // Not by colour alone: a person's spans are full height, all others lower.
      const inset = driver === 'human' ? 0 : height * 0.22;
      g.fillRect(a, inset, Math.max(1, b - a), height - 2 * inset);
      from = i;
    }
    const at = (chosen !== null ? chosen : p.step) / total * width, handle = slidable && Boolean(p.episode) && (drove.steps.length > 0 || chosen !== null);
    g.fillStyle = colour('--text');
    g.fillRect(clamp(at - scale, 0, width - 2 * scale), 0, 2 * scale, height);
    if (handle) { g.beginPath(); g.arc(clamp(at, height / 2, width - height / 2), height / 2, height * 0.42, 0, 7); g.fill(); }
    slider.disabled = !handle;
    slider.max = String(total);
    if (!dragging) slider.value = String(chosen !== null ? chosen : p.step);
    find('d-moment-words').classList.toggle('d-right', at < width / 2);
    text('d-moment-words', !handle ? '' : chosen !== null ? `back to step ${chosen}` : 'drag to choose a moment');
  }

  function begin() {
    const s = find('d-moment');
    s.addEventListener('input', () => {
      dragging = true;
      const step = Math.min(Number(s.value), Math.max(standing, chosen || 0));
      s.value = String(step);
      moment(step);
    });
    const done = () => { dragging = false; chosenAt = performance.now(); s.blur(); };
    s.addEventListener('change', done);
    s.addEventListener('pointerup', done);
  }

  return {
    begin,
    follow, // with each situation
    paint, // slidable: whether this person may choose a moment now
    moment: () => chosen, // step that was chosen, or null
  };
})();
