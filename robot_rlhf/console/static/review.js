// Goes through a recorded session: pictures, a timeline to scrub, labels and marks; beside a list of its episodes.
(() => {
  const {picture, fit, drawPicture, drawPath, bounds, make, button, option, typing, tell} = window.clips;
  const list = window.episode_list, chart = window.episode_chart, WORDS = list.words;
  const AHEAD = 12, LOOK_EVERY = 1000;
  const at = {};
  let version = -1, session = {cameras: [], period: 0.05, readings: []}, open = null, step = 0, playing = false, speed = 1;
  let span = null, limits = null, wantedAddress = 0, playedTo = 0, opening = 0, values = null, asking = 0;

  function build(root) {
    at.root = root;
    root.append(list.build(show));

    at.name = make('span', 'review-name c-line');
    at.chips = make('span', 'review-chips');
    at.success = button('Success', 'review-success', () => ask('success'), 'S');
    at.failure = button('Failure', 'review-failure', () => ask('failure'), 'F');
    at.clear = button('Clear', '', () => ask('clear'), 'C');
    at.remove = button('Delete', '', () => ask(open && open.deleted ? 'restore' : 'delete'), 'Del');
    at.pictures = make('div', 'review-pictures');
    at.said = make('div', 'review-said c-panel', {hidden: ''});
    at.play = button('Play', '', toggle, 'Space');
    at.fact = make('span', 'review-fact');
    at.driver = make('span', 'review-driver');
    at.reward = make('span', 'review-fact c-dim c-grow c-line');
    at.speed = make('select', 'label-select', {'aria-label': 'Speed', onchange: () => { speed = Number(at.speed.value); at.speed.blur(); restart(); }});
    for (const value of [0.25, 0.5, 1, 2, 4]) option(at.speed, value, `${value}×`);
    at.speed.value = '1';
    at.canvas = make('canvas');
    at.events = make('div', 'review-lane', {'data-lane': 'events'});
    at.marks = make('div', 'review-lane', {'data-lane': 'marks'});
    at.line = make('div', 'review-head-line');
    at.value = make('span', 'review-lane-name', {hidden: ''});
    Object.assign(at.value.style, {top: '46px', color: 'var(--good)'});
    at.time = make('div', 'review-time c-panel', {role: 'slider', 'aria-label': 'Step', 'aria-valuemin': '0'}, at.canvas, at.events, at.marks, at.value);
    at.empty = make('div', 'review-empty c-panel', {}, 'Reading the recording…');
    at.body = make('div', 'review-main', {hidden: ''},
      make('div', 'review-head c-panel', {}, make('div', 'c-grow', {}, at.name, at.chips), at.success, at.failure, at.clear, at.remove),
      make('div', 'review-stage', {}, at.pictures, at.said),
      make('div', 'review-transport c-panel', {}, button('◀', '', () => go(step - 1)), at.play, button('▶', '', () => go(step + 1)),
        at.speed, at.fact, at.driver, at.reward),
      at.time);
    root.append(make('div', 'review-main', {}, at.body, at.empty));
    at.body.style.flex = '1 1 0';

    at.list = make('div', 'review-events c-panel');
    at.text = make('input', 'review-input', {maxlength: '80', placeholder: 'Name of the span', 'aria-label': 'Name of the span'});
    at.text.addEventListener('keydown', event => { if (event.key === 'Enter') { event.preventDefault(); mark(); } if (event.key === 'Escape') at.text.blur(); });
    at.spanWords = make('span', 'c-dim');
    at.in = button('In', 'review-half', () => edge('in'), 'I');
    at.out = button('Out', 'review-half', () => edge('out'), 'O');
    at.markNow = button('Mark', '', mark);
    at.kept = make('div', 'review-kept', {role: 'status'});
    const keys = make('div', 'review-keys');
    for (const [names, words] of [[['←', '→'], 'step'], [['Shift'], '10 steps'], [['↑', '↓'], 'episode'], [['Home', 'End'], 'ends']]) {
      for (const name of names) keys.append(make('kbd', '', {}, name), ' ');
      keys.append(`${words}   `);
    }
    root.append(make('div', 'review-side', {}, at.list,
      make('div', 'review-marking c-panel', {}, make('span', 'c-caption', {}, 'Mark a span'), at.in, at.out, at.spanWords, at.text, at.markNow, at.kept),
      make('div', 'c-panel', {}, keys)));

    document.addEventListener('keydown', key);
    scrubbing();
    new ResizeObserver(() => { drawTime(); paint(); }).observe(at.time);
    new ResizeObserver(() => paint()).observe(at.pictures);
    window.addEventListener('console-theme', () => { drawTime(); paint(); });
    look();
    requestAnimationFrame(tick);
  }

  // -- what there is ---------------------------------------------------------------------------------------------------

  async function look() {
    try { if (!document.hidden || version < 0) await refresh(); } catch { /* the server is gone for now */ }
    setTimeout(look, LOOK_EVERY);
  }

  async function refresh() {
    const answer = await fetch(`/clips/episodes.json?known=${version}`);
    if (!answer.ok) return;
    const told = await answer.json();
    if (told.version === version) return;
    version = told.version;
    session = told;
    list.show(told.episodes, told.problem);
    at.empty.textContent = 'Nothing is recorded yet.';
    if (open) await show(open.number, step, true);
    else if (told.episodes.length) await show(told.episodes[told.episodes.length - 1].number);
  }

  async function show(number, wanted = 0, again = false) {
    const asked = ++opening;
    const answer = await fetch(`/clips/${number}/episode.json`);
    if (!answer.ok || asked !== opening) return;
    const before = open;
    open = await answer.json();
    at.empty.hidden = true;
    at.body.hidden = false;
    limits = bounds(open.path);
    if (!again) { span = null; playing = false; at.kept.textContent = ''; values = null; }
    if (!before || before.number !== open.number || before.cameras.length !== open.cameras.length) showPictures();
    list.mark(open.number);
    showHead();
    showEvents();
    drawTime();
    askValues();
    go(again ? Math.min(wanted, open.steps) : wanted, true);
  }

  // What the critic said of the episode; asked for again until the page is connected.
  function askValues() {
    clearTimeout(asking);
    if (!tell('review_values', {episode: open.number})) asking = setTimeout(askValues, 300);
  }

  function takeValues(told) {
    if (!open || told.episode !== open.number) return;
    values = told.q && told.q.length === open.steps ? told : null;
    drawTime();
    paint();
  }

  function showHead() {
    at.name.textContent = open.id;
    at.chips.replaceChildren();
    const chip = (words, outcome, classes = '') => at.chips.append(make('span', `review-chip ${classes}`, outcome ? {'data-outcome': outcome} : {}, words));
    if (open.outcome !== open.recorded) chip(WORDS[open.recorded] || open.recorded, '', 'review-was');
    chip(WORDS[open.outcome] || open.outcome, open.outcome);
    chip(WORDS[open.kind], '');
    if (open.continues) chip(`goes on with ${open.continues}`, '');
    at.chips.title = open.detail;
    for (const control of [at.success, at.failure, at.remove, at.markNow, at.in, at.out]) control.disabled = open.open;
    at.clear.disabled = open.open || open.outcome === open.recorded || open.deleted;
    at.remove.firstChild.textContent = open.deleted ? 'Restore' : 'Delete';
  }

  function showPictures() {
    at.pictures.replaceChildren();
    at.canvases = new Map();
    for (const camera of open.cameras) panel(camera);
    panel(null);
  }

  function panel(camera) {
    const canvas = make('canvas');
    at.canvases.set(camera, canvas);
    at.pictures.append(make('div', 'review-picture c-panel', {'data-camera': camera || 'path'}, canvas, make('span', '', {}, camera || 'Tool path')));
  }

  function words(event) {
    if (event.kind === 'correction') return `“${event.text}”${event.sentence ? ` → ${event.sentence.undone ? 'not meant' : event.sentence.words}` : ''}`;
    if (event.kind === 'score') return `Score ${event.value}`;
    if (event.kind === 'success' || event.kind === 'failure') {
      return event.value === 0 ? 'Label taken back' : `${event.later ? 'Labelled' : 'Judged'}: ${event.kind}`;
    }
    if (event.kind === 'discard') return event.value === 0 ? 'Restored' : 'Deleted';
    if (event.kind === 'intervention') return 'Took over';
    return event.text;
  }

  // What a sentence meant, to be corrected: the nearest first, then everything there is.
  function meant(entry, sentence) {
    entry.dataset.undone = String(sentence.undone);
    if (sentence.before.length) entry.title = `before: ${sentence.before.join('; ')}`;
    const choose = make('select', 'label-select', {'aria-label': `Meaning of ${entry.firstChild.textContent}`});
    option(choose, '', sentence.undone ? 'Not meant' : sentence.meant || 'Nothing');
    const offered = [...sentence.nearest, ...session.readings.filter(r => !sentence.nearest.some(n => n.words === r.words))];
    offered.forEach((reading, i) => option(choose, i, reading.words));
    choose.addEventListener('change', () => {
      if (choose.value !== '') tell('review_do', {do: 'meant', episode: open.number, sentence: sentence.name, meaning: offered[Number(choose.value)].meaning});
      choose.value = '';
      choose.blur();
    });
    const nothing = button('Not meant', 'review-nothing', () => tell('review_do', {do: 'not_meant', episode: open.number, sentence: sentence.name}));
    choose.disabled = open.open;
    nothing.disabled = open.open || sentence.undone;
    return make('div', 'review-meant', {}, choose, nothing);
  }

  function showEvents() {
    at.list.replaceChildren(make('span', 'c-caption', {}, 'Said and done'));
    at.events.replaceChildren();
    at.marks.replaceChildren();
    const flag = (lane, kind, start, length, text) => {
      const made = make('button', 'review-flag', {type: 'button', 'data-kind': kind, title: text}, kind === 'correction' || kind === 'mark' ? text : '');
      made.style.left = `${100 * start / open.steps}%`;
      made.style.width = `${100 * Math.min(length, open.steps - start) / open.steps}%`;
      lane.append(made);
      return made;
    };
    at.entries = [];
    for (const event of open.events) {
      const entry = make('button', 'review-event', {type: 'button', 'data-kind': event.kind, onclick: () => { entry.blur(); go(event.start); }},
        words(event), make('em', '', {}, `step ${event.start}${event.length > 1 ? ` to ${event.start + event.length}` : ''} · ${event.author}`));
      if (event.detail) entry.title = event.detail;
      at.list.append(entry);
      if (event.sentence) at.list.append(meant(entry, event.sentence));
      at.entries.push([event, entry]);
      const whole = event.start === 0 && event.length >= open.steps;
      if (event.kind === 'correction') flag(at.events, event.kind, event.start, event.length, words(event)).dataset.undone = String(Boolean(event.sentence && event.sentence.undone));
      else if (event.kind === 'guard' || event.kind === 'fault') flag(at.events, event.kind, event.start, 1, words(event));
      else if (event.kind === 'success' || event.kind === 'failure') flag(at.events, event.kind, whole ? open.steps - 1 : event.start, 1, words(event));
    }
    if (!open.events.length) at.list.append(make('span', 'c-dim', {}, 'Nothing in this episode.'));
    if (open.marks.length) at.list.append(make('span', 'c-caption', {}, 'Marked spans'));
    for (const one of open.marks) {
      flag(at.marks, 'mark', one.start, one.length, one.text);
      const line = make('div', 'review-markrow', {},
        make('button', 'review-event', {type: 'button', onclick: () => go(one.start)}, one.text, make('em', '', {}, `step ${one.start} to ${one.start + one.length}`)),
        make('button', 'review-remove', {type: 'button', 'aria-label': `Remove mark ${one.text}`, onclick: () => tell('review_do', {do: 'unmark', episode: open.number, ...one})}, '✕'));
      at.list.append(line);
    }
    at.span = make('div', 'review-span', {hidden: ''});
    at.marks.append(at.span);
    showSpan();
  }

  // -- time ------------------------------------------------------------------------------------------------------------

  function drawTime() {
    if (open && at.canvas.clientWidth) chart.draw(at.canvas, open, values);
  }

  function showValue(index) {
    at.value.hidden = !values;
    if (!values) return;
    const [q, returned] = [values.q[index], values.return[index]].map(value => value === null ? 'not finite' : value.toFixed(3));
    at.value.textContent = `Q ${q} · dashed: the return that followed, ${returned} · ${chart.range(values).map(value => value.toPrecision(2)).join(' to ')}`;
  }

  function go(wanted, quietly = false) {
    if (!open) return;
    step = Math.max(0, Math.min(open.steps, Math.round(wanted)));
    if (!quietly) restart();
    paint();
  }

  function driverAt(index) {
    const found = open.drivers.find(([, start, length]) => index >= start && index < start + length);
    return found ? found[0] : 'policy';
  }

  function paint() {
    if (!open || !at.canvases) return;
    const T = open.steps, doing = Math.min(step, T - 1), period = session.period;
    if (!at.line.isConnected) at.time.append(at.line);
    at.line.style.left = `calc(10px + (100% - 20px) * ${step / T})`;
    at.time.setAttribute('aria-valuemax', String(T));
    at.time.setAttribute('aria-valuenow', String(step));
    at.fact.textContent = `step ${step} of ${T} · ${(step * period).toFixed(2)} s`;
    const driver = driverAt(doing);
    at.driver.textContent = WORDS[driver];
    at.driver.dataset.driver = driver;
    const said = open.instructions.filter(([first]) => first <= doing);
    const sum = open.rewards.slice(0, step).reduce((a, b) => a + b, 0);
    at.reward.textContent = `reward ${open.rewards[doing].toFixed(3)}, so far ${sum.toFixed(2)} · ${said.length ? said[said.length - 1][1] : ''}`;
    showValue(doing);
    const spoken = open.events.filter(e => e.kind === 'correction' && step >= e.start && step <= e.start + e.length && (e.length < T || T < 2 || step < T));
    at.said.hidden = !open.events.some(event => event.kind === 'correction'); // keeps its place: pictures do not jump
    at.said.textContent = spoken.map(words).join('  ');
    for (const [event, entry] of at.entries) {
      const whole = event.start === 0 && event.length >= T;
      entry.dataset.now = String(!whole && step >= event.start && step < event.start + event.length);
    }
    at.play.firstChild.textContent = playing ? 'Pause' : 'Play';
    const mine = ++wantedAddress;
    for (const [camera, canvas] of at.canvases) {
      if (camera === null) { drawPath(canvas, open.path, step, limits); continue; }
      picture(open.number, camera, step).then(bitmap => { if (mine === wantedAddress) drawPicture(canvas, bitmap); }).catch(() => {
        if (mine === wantedAddress) fit(canvas);
      });
      if (playing) for (let ahead = step + 1; ahead <= Math.min(T, step + AHEAD); ahead++) picture(open.number, camera, ahead).catch(() => {});
    }
  }

  function toggle() {
    if (!open) return;
    if (!playing && step >= open.steps) step = 0;
    playing = !playing;
    restart();
    paint();
  }

  function restart() { playedTo = performance.now() - 1000 * step * session.period / speed; }

  function tick(now) {
    requestAnimationFrame(tick);
    if (!playing || !open) return;
    const wanted = Math.floor((now - playedTo) / 1000 * speed / session.period);
    if (wanted >= open.steps) { playing = false; step = open.steps; paint(); }
    else if (wanted !== step && wanted >= 0) { step = wanted; paint(); }
  }

  function scrubbing() {
    let marking = null;
    const stepAt = event => {
      const box = at.canvas.getBoundingClientRect();
      return Math.max(0, Math.min(open.steps, Math.round((event.clientX - box.left) / box.width * open.steps)));
    };
    at.time.addEventListener('pointerdown', event => {
      if (!open) return;
      event.preventDefault();
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      at.time.setPointerCapture(event.pointerId);
      playing = false;
      const box = at.marks.getBoundingClientRect();
      marking = event.clientY >= box.top ? stepAt(event) : null;
      go(stepAt(event));
    });
    at.time.addEventListener('pointermove', event => {
      if (!open || !at.time.hasPointerCapture(event.pointerId)) return;
      go(stepAt(event));
      if (marking !== null && stepAt(event) !== marking) setSpan(Math.min(marking, stepAt(event)), Math.max(marking, stepAt(event)));
    });
    at.time.addEventListener('pointerup', () => { marking = null; });
  }

  // -- labels and marks ------------------------------------------------------------------------------------------------

  function ask(what) {
    if (!open || open.open) return;
    if (what === 'clear' && at.clear.disabled) return;
    tell('review_do', {do: what, episode: open.number});
  }

  function setSpan(from, to) {
    span = [from, Math.max(to, from + 1)];
    showSpan();
  }

  function edge(which) {
    if (!open || open.open) return;
    const last = open.steps;
    if (which === 'in') setSpan(Math.min(step, last - 1), span && span[1] > step ? span[1] : last);
    else setSpan(span && span[0] < step ? span[0] : 0, Math.max(1, step));
  }

  function showSpan() {
    at.span.hidden = !span;
    at.spanWords.textContent = span ? `steps ${span[0]} to ${span[1]}` : 'Set In and Out, or drag below the rewards.';
    if (!span) return;
    at.span.style.left = `${100 * span[0] / open.steps}%`;
    at.span.style.width = `${100 * (span[1] - span[0]) / open.steps}%`;
  }

  function mark() {
    const text = at.text.value.trim();
    if (!open || open.open) return;
    if (!span) { at.kept.textContent = 'Set In and Out first'; return; }
    if (!text) { at.text.focus(); return; }
    if (tell('review_do', {do: 'mark', episode: open.number, start: span[0], length: span[1] - span[0], text})) {
      at.text.value = '';
      at.text.blur();
    }
  }

  async function kept(text) {
    at.kept.textContent = text;
    if (text === 'Marked') { span = null; showSpan(); }
    await refresh();
  }

  function key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || typing(event)) return;
    const big = event.shiftKey ? 10 : 1;
    const acts = {
      ArrowLeft: () => { playing = false; go(step - big); }, ArrowRight: () => { playing = false; go(step + big); },
      ArrowUp: () => list.go(-1), ArrowDown: () => list.go(1), Home: () => go(0), End: () => go(open ? open.steps : 0),
    };
    const once = {
      ' ': toggle, s: () => ask('success'), f: () => ask('failure'), c: () => ask('clear'), Delete: () => ask(open && open.deleted ? 'restore' : 'delete'),
      i: () => edge('in'), o: () => edge('out'), m: () => at.text.focus(),
    };
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (acts[name]) { event.preventDefault(); acts[name](); }
    else if (once[name]) { event.preventDefault(); if (!event.repeat) once[name](); }
  }

  window.review_page = {kept, values: takeValues, state: () => ({number: open && open.number, outcome: open && open.outcome, step, playing, span, values})};
  const wait = setInterval(() => {
    const root = document.getElementById('review-root');
    if (root) { clearInterval(wait); build(root); }
  }, 20);
})();
