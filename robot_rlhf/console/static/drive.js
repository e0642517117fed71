// What the operator's page shows of the present, and its own controls. Pictures, keys and sockets: transport.js.
// Whatever was typed or recorded is set as text, never as HTML.
(() => {
  const $ = (id) => document.getElementById(id);
  const clamp = (v, a, b) => Math.min(b, Math.max(a, v));
  const signed = (v) => (v < 0 ? '−' : '+') + Math.abs(v).toFixed(2);
  const store = {
    get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } },
  };
  const marks = window.console_guides;
  let bus = null, root = null, present = null, state = {}, linked = 'wait', ended = false, watching = 0;

  const text = (id, words) => { const e = $(id); if (e && e.textContent !== words) e.textContent = words; };
  const attribute = (e, name, value) => { if (e && e.getAttribute(name) !== value) e.setAttribute(name, value); };

  // ---- The banner: who drives, in colour, words and icon --------------------------------------------------------

  function banner() {
    const p = present, seat = state.seat, who = state.operator || '';
    const demonstrates = p && p.kind === 'demonstration';
    const look = (look, icon, words, sub, badge = '') => ({look, icon, words, sub, badge});
    if (!fresh()) {
      const why = ended ? 'The session has ended' : linked === 'lost' ? 'Trying again. STOP does not reach the robot from here: use the one beside it' : 'Connecting to the robot';
      return look('lost', 'wifi_off', 'NO CONNECTION', why);
    }
    const wanted = Number.isFinite(state.demonstrations_wanted) ? state.demonstrations_wanted : 0;
    const now = Number.isFinite(state.demonstrations) ? Math.min(state.demonstrations + 1, wanted) : 0;
    const collecting = state.stage === 'demonstrations' || demonstrates;
    const badge = collecting ? (wanted ? `DEMONSTRATION ${now} of ${wanted}` : 'DEMONSTRATION') : p.kind === 'evaluation' ? 'EVALUATION' : '';
    const watches = seat ? '' : who ? `${who} has the seat; you are watching` : 'Nobody has the seat';
    const person = seat ? 'YOU DRIVE' : who ? `${who.length > 22 ? who.slice(0, 21) + '…' : who} drives`.toUpperCase() : state.operator_kind === 'simulated' ? 'SIMULATED PERSON DRIVES' : 'A PERSON DRIVES';
    const touch = state.hands === 'sticks';
    const show = state.judged_by === 'person' ? `Show the whole task, then press ${touch ? 'Success' : 'Enter'}` : 'Show the whole task; success is seen by itself';
    switch (p.phase) {
      case 'stopped': return look('stopped', 'dangerous', 'STOPPED: release to go on', seat ? reason() || 'Look at the robot, then press Release' : watches, badge);
      case 'paused': return look('paused', 'pause_circle', 'PAUSED', seat ? `${sentence(p.detail)}Drive, or press ${touch ? 'Go on' : 'N'}, to go on` : sentence(p.detail) + watches, badge);
      case 'rewinding': return look('rewinding', 'fast_rewind', 'REWINDING', `back to step ${chosen === null ? p.step : chosen}`, badge);
      case 'resetting': return look('resetting', 'restart_alt', 'RESETTING', p.detail || 'The next episode begins by itself', badge);
      case 'waiting': return look('waiting', 'hourglass_top', 'WAITING', collecting && !seat ? `${watches}. It begins when they drive` : p.detail || (collecting ? show : watches), badge);
    }
    if (p.driver === 'human') {
      const back = state.mode === 'toggle' ? `Press ${touch ? 'Hold to lead' : 'Space'} to hand back` : 'Let go to hand back';
      return look(seat ? 'you' : 'other', seat ? 'pan_tool' : 'person', person, seat ? (collecting ? show : back) : watches, badge);
    }
    if (p.driver === 'policy') {
      const take = touch ? 'Move a stick to take over' : 'Hold Space or a motion key to take over';
      return look('policy', 'smart_toy', 'POLICY DRIVES', seat ? take : watches, badge);
    }
    if (p.driver === 'reflex') {
      const lead = touch ? 'Move a stick to drive' : 'Hold a motion key to drive';
      const next = collecting ? `Your turn. ${show}` : state.mode === 'toggle' ? `${lead}, or press ${touch ? 'Hold to lead' : 'Space'} to hand back` : `${lead}; the policy goes on by itself in a moment`;
      return look('reflex', 'shield', 'REFLEX: HOLDING STILL', p.detail || reason() || (seat ? next : watches), badge);
    }
    return look('nobody', 'do_not_disturb_on', 'NOBODY DRIVES', seat && collecting ? `Your turn. ${show}` : p.detail || watches, badge);
  }
  // The banner is true as long as situations come, whatever the other socket does.
  const fresh = () => present !== null && performance.now() - watching < (linked === 'lost' ? 300 : 1500);
  const sentence = (words) => (words ? words.charAt(0).toUpperCase() + words.slice(1).replace(/\.$/, '') + '. ' : '');
  const reason = () => { const f = (state.guard || []).find((e) => e.latched); return f ? f.text : ''; };

  function paintBanner() {
    const b = banner();
    attribute(root, 'data-look', b.look);
    text('d-icon', b.icon); text('d-words', b.words); text('d-sub', b.sub.charAt(0).toUpperCase() + b.sub.slice(1));
    const badge = $('d-badge');
    badge.hidden = !b.badge;
    text('d-badge', b.badge);
  }

  // ---- The present, with each situation --------------------------------------------------------------------------

  function onPresent(p, feels) {
    const paused = p.phase === 'paused' || p.phase === 'rewinding';
    present = p;
    watching = performance.now();
    root.classList.remove('d-still');
    attribute(root, 'data-paused', paused ? '1' : '0');
    attribute(root, 'data-faults', p.faults.length ? '1' : '0');
    follow(p);
    paintBanner();
    paintTime(p, paused);
    const period = state.period || 0.05;
    text('d-step', p.episode ? String(p.step) : '–');
    text('d-of', p.episode && p.time_limit ? ` / ${p.time_limit}` : '');
    text('d-left', !p.episode ? '–' : p.time_limit ? `${Math.max(0, (p.time_limit - p.step) * period).toFixed(1)} s` : '∞');
    text('d-instruction', p.instruction || '–');
    text('d-episode', p.episode);
    const w = p.tool_wrench;
    text('d-force', w ? `${Math.hypot(w[0], w[1], w[2]).toFixed(1)} N` : '');
    text('d-gripper', !p.tool_pose ? '–' : feels || `${Math.round(100 * p.gripper)} % open`);
    text('d-policy', p.policy_version >= 0 ? `policy ${p.policy_version}` : '');
    if (paused !== wasPaused) { wasPaused = paused; paintSeat(); }
    const release = $('d-release');
    if (release) able(release);
  }
  let wasPaused = false;

  // ---- The episode's time, and the moment to go back to ----------------------------------------------------------

  const drove = {episode: '', steps: []};
  let chosen = null, chosenAt = 0, told = 0;
  const DRIVERS = {policy: '--policy', human: '--you', reflex: '--reflex'};

  const colours = {};
  const colour = (name) => colours[name] || (colours[name] = getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  addEventListener('console-theme', () => { for (const name of Object.keys(colours)) delete colours[name]; });

  function follow(p) {
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
  let dragging = false;

  function paintTime(p, paused) {
    const canvas = $('d-time-canvas'), slider = $('d-moment');
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
    const at = (chosen !== null ? chosen : p.step) / total * width, handle = paused && slidable();
    g.fillStyle = colour('--text');
    g.fillRect(clamp(at - scale, 0, width - 2 * scale), 0, 2 * scale, height);
    if (handle) { g.beginPath(); g.arc(clamp(at, height / 2, width - height / 2), height / 2, height * 0.42, 0, 7); g.fill(); }
    slider.disabled = !handle;
    slider.max = String(total);
    if (!dragging) slider.value = String(chosen !== null ? chosen : p.step);
    $('d-moment-words').classList.toggle('d-right', at < width / 2);
    text('d-moment-words', !handle ? '' : chosen !== null ? `back to step ${chosen}` : 'drag to choose a moment');
  }
  const slidable = () => Boolean(state.can_rewind && state.seat && present && present.episode && (drove.steps.length || chosen !== null));

  function slider() {
    const s = $('d-moment');
    s.addEventListener('input', () => {
      dragging = true;
      const step = Math.min(Number(s.value), Math.max(present ? present.step : 0, chosen || 0));
      s.value = String(step);
      moment(step);
    });
    const done = () => { dragging = false; chosenAt = performance.now(); s.blur(); };
    s.addEventListener('change', done);
    s.addEventListener('pointerup', done);
  }

  // ---- Seat, settings, guard, sentences, learning: what the server says a few times a second ----------------------

  function able(e) {
    const never = e.dataset.never || '';
    let why = never;
    if (!why && !state.seat) why = state.operator ? `${state.operator} has the seat: take it to do this` : 'Take the seat to do this';
    if (!why && e.id === 'd-release' && !(present && (present.faults.length || present.phase === 'stopped'))) why = 'Nothing to release';
    if (!why && ended) why = 'The session has ended';
    if (e.disabled !== Boolean(why)) e.disabled = Boolean(why);
    if (e.dataset.title === undefined) e.dataset.title = e.title || '';
    const title = why || e.dataset.title;
    if (e.title !== title) e.title = title;
  }

  function paintSeat() {
    if (state.seat === undefined) return; // nobody has said yet
    attribute(root, 'data-seat', state.seat ? '1' : '0');
    for (const e of root.querySelectorAll('[data-seat-only]')) able(e);
    const name = state.you || 'You';
    text('d-person-words', state.seat ? `${name} · your seat` : `${name} · watching`);
    text('d-watch-words', state.operator ? `You are watching. ${state.operator} has the seat: taking it ends their driving at once.` : 'Nobody has the seat. Whoever takes it drives and judges.');
    const leave = $('d-leave');
    if (leave) leave.disabled = !state.seat;
    for (const e of document.querySelectorAll('.d-stick')) e.classList.toggle('d-off', !state.seat);
  }

  // What this browser's operator chose last is so again when it gets the seat, in this session and in the next.
  const SETTINGS = ['mode', 'speed', 'frame'];
  const remember = (setting, value) => store.set(`console-${setting}`, String(value));
  let seated = false;
  function recallSettings() {
    const before = seated;
    seated = Boolean(state.seat);
    if (before || !seated) return;
    const known = Object.fromEntries(SETTINGS.map((s) => [s, store.get(`console-${s}`)]).filter(([, v]) => v !== null));
    if (Object.keys(known).length && window.emitEvent) window.emitEvent('drive-settings', known);
  }

  function paintSettings() {
    for (const setting of SETTINGS) {
      for (const e of root.querySelectorAll(`[data-${setting}]`)) {
        attribute(e, 'aria-pressed', String(e.dataset[setting]) === String(state[setting]) ? 'true' : 'false');
      }
    }
  }

  const node = (tag, name, words) => { const e = document.createElement(tag); if (name) e.className = name; if (words !== undefined) e.textContent = words; return e; };
  const icon = (name) => { const e = node('i', 'material-icons', name); e.setAttribute('aria-hidden', 'true'); return e; };
  const painted = {};
  function changed(name, value) {
    const now = JSON.stringify(value);
    if (painted[name] === now) return false;
    painted[name] = now;
    return true;
  }

  const seen = new Set();
  function paintGuard() {
    const events = state.guard || [];
    if (!changed('guard', events)) return;
    const box = $('d-guard');
    box.replaceChildren();
    if (!events.length) box.append(row('verified_user', 'Nothing was limited or refused.'));
    for (const e of events) {
      const made = row(e.latched ? 'lock' : 'shield', e.count > 1 ? `${e.text} (${e.count} times)` : e.text);
      if (e.latched) made.classList.add('d-event-latched');
      else if (!seen.has(e.key)) made.classList.add('d-event-fresh');
      seen.add(e.key);
      made.title = e.detail || '';
      box.append(made);
    }
  }
  const row = (name, words) => { const e = node('div', 'd-event'); e.append(icon(name), node('span', '', words)); return e; };

  function paintSaid() {
    const chips = state.chips || [], said = state.said || [];
    if (changed('chips', [chips, state.seat])) {
      $('d-chips').replaceChildren(...chips.map((words) => {
        const e = node('button', 'd-chip', words);
        e.type = 'button';
        e.dataset.seatOnly = '1';
        e.dataset.title = `Send: ${words}`;
        able(e);
        e.addEventListener('click', () => { send(words, 0); e.blur(); });
        return e;
      }));
    }
    if (changed('said', said)) {
      const rows = said.map((s) => { const e = node('div'); e.append(node('b', '', s.text), ` ${s.when}`); e.title = s.text; return e; });
      $('d-said').replaceChildren(...(rows.length ? rows : [node('div', '', 'Nothing said in this episode.')]));
    }
  }

  function paintLearning() {
    $('d-show').hidden = !state.shows;
    for (const [name, words] of Object.entries(state.numbers || {})) text(`d-n-${name}`, words);
    text('d-loop', state.loop && state.loop !== '–' ? `loop ${state.loop}` : '');
    for (const [name, words] of Object.entries(state.labels || {})) text(`d-l-${name}`, words);
    const trains = state.trains || {level: '', text: '–'};
    attribute($('d-trains'), 'data-level', trains.level);
    text('d-trains-icon', {good: 'trending_up', warn: 'pause_circle'}[trains.level] || 'hourglass_empty');
    text('d-trains-words', trains.text);
    $('d-trains').title = trains.text;
    if (changed('advice', state.advice || [])) {
      const hints = (state.advice || []).map((a) => {
        const e = node('div', 'd-hint');
        e.dataset.level = a.level;
        const because = a.because ? `because ${a.because}` : '';
        e.append(icon({good: 'thumb_up', warn: 'warning'}[a.level] || 'lightbulb'), node('span', '', a.text), node('em', '', because));
        e.title = `${a.text} ${because}`;
        return e;
      });
      $('d-advice').replaceChildren(...(hints.length ? hints : [node('div', 'c-dim', 'Advice comes once a few episodes have been run.')]));
    }
  }

  function paintLast() {
    const last = state.last || {text: '', undo: ''}, undo = $('d-undo');
    text('d-last-words', last.text || 'None has ended yet.');
    undo.hidden = !last.undo;
    undo.dataset.title = last.undo;
    able(undo);
  }

  function paintEnd() {
    if (!state.ended && !ended) return;
    document.body.classList.add('c-ended');
    ended = true;
    const facts = state.summary || [];
    if (changed('summary', facts)) $('d-ended-facts').replaceChildren(...facts.flatMap(([name, value]) => [node('dt', '', name), node('dd', '', value)]));
    if (state.ended_why) text('d-ended-why', state.ended_why);
  }

  function onState() {
    const hands = state.hands;
    state = {...(window.console_drive_state || {}), hands};
    recallSettings();
    paintSeat(); paintSettings(); paintBanner(); paintGuard(); paintSaid(); paintLast(); paintLearning(); paintEnd();
  }

  // ---- Speaking -------------------------------------------------------------------------------------------------

  let began = null, recall = -1;
  const ago = () => (began === null ? 0 : Math.max(0, (performance.now() - began) / 1000));
  function send(words, seconds) {
    const said = words.trim();
    if (said && window.emitEvent) window.emitEvent('drive-speak', {text: said, ago: seconds});
  }
  function speaking() {
    const field = $('d-text');
    const finish = () => { send(field.value, ago()); field.value = ''; began = null; recall = -1; };
    field.addEventListener('input', () => { if (began === null) began = performance.now(); if (!field.value) began = null; });
    field.addEventListener('keydown', (e) => {
      if (e.isComposing) return;
      if (e.key === 'Enter') { e.preventDefault(); e.stopPropagation(); finish(); field.blur(); }
      if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); field.blur(); }
      if (e.key === 'ArrowUp' || e.key === 'ArrowDown') {
        const all = state.history || [];
        recall = clamp(recall + (e.key === 'ArrowUp' ? 1 : -1), -1, all.length - 1);
        field.value = recall < 0 ? '' : all[recall];
        if (began === null) began = performance.now();
        e.preventDefault();
      }
    });
    $('d-send').addEventListener('click', (e) => { finish(); e.currentTarget.blur(); });
    const Recogniser = window.SpeechRecognition || window.webkitSpeechRecognition, button = $('d-dictate');
    if (!Recogniser && isSecureContext) return;
    button.hidden = false;
    if (!isSecureContext) { // plain http over a network: the browser gives no microphone, whatever is pressed
      button.dataset.never = 'No dictation over plain http: browsers give a microphone to https, or on the machine itself';
      able(button);
      return;
    }
    let listening = null;
    button.addEventListener('click', () => {
      button.blur();
      if (listening) { listening.stop(); return; }
      listening = new Recogniser();
      listening.lang = navigator.language || 'en';
      listening.interimResults = true;
      const quiet = () => { listening = null; button.classList.remove('c-held'); button.title = 'Dictate'; };
      listening.onspeechstart = () => { if (began === null) began = performance.now(); };
      listening.onresult = (e) => { if (began === null) began = performance.now(); field.value = Array.from(e.results, (r) => r[0].transcript).join(' '); };
      listening.onerror = (e) => { quiet(); field.placeholder = `Dictation: ${e.error}. Type instead`; };
      listening.onend = () => { quiet(); if (field.value) field.focus(); };
      listening.start();
      button.classList.add('c-held');
      button.title = 'Listening: press again to end';
    });
  }

  // ---- Keys that light up, buttons that hold a key, sticks ---------------------------------------------------------

  function lights(held) {
    for (const e of document.querySelectorAll('[data-code]')) e.classList.toggle('c-held', held.includes(e.dataset.code));
  }

  const hold = (code, on) => bus && bus.holdKey && bus.holdKey(code, on);
  function holds(e, down) {
    const set = (on) => (event) => {
      if (e.disabled && on) return;
      event.preventDefault();
      if (on && e.setPointerCapture) e.setPointerCapture(event.pointerId);
      e.classList.toggle('c-held', on);
      down(on);
    };
    e.addEventListener('pointerdown', set(true));
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) e.addEventListener(name, set(false));
    e.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  function stick(e) {
    const [vertical, sideways] = e.dataset.axes.split(' '), knob = e.querySelector('.d-stick-knob');
    let pointer = null;
    const put = (up, left) => {
      const reach = e.clientWidth / 2 - 38;
      knob.style.transform = `translate(${-left * reach}px, ${-up * reach}px)`;
      bus.setSticks({[vertical]: up, [sideways]: left});
    };
    const rest = () => { pointer = null; e.classList.remove('c-held'); put(0, 0); };
    const soft = (v) => { const a = Math.abs(v); return a < 0.08 ? 0 : Math.sign(v) * Math.min(1, (a - 0.08) / 0.92); };
    const move = (event) => {
      if (event.pointerId !== pointer) return;
      const box = e.getBoundingClientRect(), reach = box.width / 2 - 38;
      let left = -(event.clientX - box.left - box.width / 2) / reach, up = -(event.clientY - box.top - box.height / 2) / reach;
      const far = Math.hypot(left, up);
      if (far > 1) { left /= far; up /= far; }
      put(soft(up), soft(left));
      event.preventDefault();
    };
    e.addEventListener('pointerdown', (event) => {
      if (!state.seat || pointer !== null) return;
      pointer = event.pointerId;
      e.setPointerCapture(pointer);
      e.classList.add('c-held');
      move(event);
    });
    e.addEventListener('pointermove', move);
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) e.addEventListener(name, (event) => { if (event.pointerId === pointer) rest(); });
    for (const name of ['blur', 'pagehide', 'visibilitychange']) addEventListener(name, () => { if (pointer !== null) rest(); });
    e.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  function hands(which) {
    state.hands = which;
    attribute(root, 'data-hands', which);
    text('d-hands-words', which === 'sticks' ? 'Keys' : 'Sticks');
    store.set('console-hands', which);
    marks.set({words: which === 'sticks'});
    if (present) paintBanner();
  }

  // ---- Pictures: which one is large -------------------------------------------------------------------------------

  function cameras() {
    const large = $('d-mains'), small = $('d-smalls');
    if (!large || !small) return;
    small.addEventListener('click', (event) => {
      const cell = event.target.closest('.d-camera');
      if (!cell) return;
      const old = large.querySelector('.d-camera');
      small.replaceChild(old, cell);
      large.append(cell);
      cell.blur();
      if (window.emitEvent) window.emitEvent('drive-camera', cell.dataset.name);
    });
  }

  function sheet() { const e = $('d-sheet'); e.hidden = !e.hidden; }

  // ---- Begin ------------------------------------------------------------------------------------------------------

  function link(to) {
    linked = to;
    attribute($('c-link'), 'data-state', ended ? 'ended' : to === 'still' ? 'wait' : to);
    text('c-link-text', {live: 'Connected', still: 'No pictures', wait: 'Connecting', lost: ended ? 'Ended' : 'Reconnecting'}[to]);
    paintBanner();
  }

  function begin() {
    root = $('drive');
    bus = window.console_rlhf;
    const coarse = matchMedia('(pointer: coarse)').matches;
    hands(store.get('console-hands') || (coarse ? 'sticks' : 'keys'));
    $('d-hands').addEventListener('click', (e) => { hands(state.hands === 'sticks' ? 'keys' : 'sticks'); e.currentTarget.blur(); });
    slider(); speaking(); cameras();
    $('d-sheet-close').addEventListener('click', sheet);
    root.addEventListener('click', (event) => {
      const choice = event.target instanceof Element && event.target.closest('.d-segment button');
      if (choice) for (const setting of SETTINGS) if (choice.dataset[setting]) remember(setting, choice.dataset[setting]);
    });
    holds($('d-lead'), (on) => bus.setSticks({lead: on ? 1 : 0}));
    holds($('d-grip'), (on) => hold('KeyG', on));
    // STOP goes both ways: at once on the driving socket, and as a click.
    holds(root.querySelector('.d-stop-now'), (on) => hold('KeyX', on));
    for (const e of document.querySelectorAll('.d-stick')) stick(e);
    document.addEventListener('visibilitychange', () => window.emitEvent && window.emitEvent('drive-visible', !document.hidden));
    connect();
    onState();
    setInterval(() => {
      if (fresh() || root.classList.contains('d-still')) return;
      root.classList.add('d-still');
      if (linked === 'live') link('still');
      paintBanner();
    }, 250);
  }

  // Told by transport.js: the present, the seat, connection, gamepad, what keys ask the page for.
  function connect() {
    bus.onPresent((p, number, guides, feels) => { onPresent(p, feels); marks.set({keys: Boolean(state.seat) && p.driver !== 'policy'}); marks.show(guides, feels); if (linked === 'still') link(bus.link); });
    bus.onSeat((seat, operator, you) => { Object.assign(state, {seat, operator, you}); paintSeat(); paintBanner(); });
    bus.onControls((controls) => { Object.assign(state, controls); paintSettings(); });
    bus.onLink((to) => { if (to === 'ended') { ended = true; paintEnd(); paintSeat(); } link(to === 'ended' ? 'lost' : to); });
    bus.onLocal((command) => {
      if (command === 'focus_text') $('d-text').focus();
      if (SETTINGS.includes(command)) remember(command, state[command]);
      if (command === 'help') sheet();
    });
    bus.onError((words) => { if (window.Quasar) window.Quasar.Notify.create({message: words, type: 'warning', position: 'top', timeout: 4000}); });
    bus.onHeld((held) => { lights(held); marks.set({held}); });
    bus.onPad((pads) => {
      const known = pads.find((pad) => pad.known);
      attribute($('d-pad'), 'data-on', known ? '1' : '0');
      text('d-pad-words', known ? 'Gamepad' : pads.length ? 'Unknown gamepad' : isSecureContext ? 'No gamepad' : 'Gamepad: needs https');
      const why = 'Over plain http browsers show a gamepad only to pages opened on the machine itself';
      $('d-pad').title = pads.map((pad) => pad.name).join(', ') || (isSecureContext ? '' : why);
    });
  }

  window.console_drive = {state: () => { if (root) onState(); }};
  (function whenBuilt() { if ($('drive') && $('d-advice') && window.console_rlhf) begin(); else setTimeout(whenBuilt, 30); })();
})();
