// What was said: heard, what is done about it, how much of it is learned. Asking back, taking back, and rules.
window.console_sentences = (() => {
  const {find, node, icon} = window.console_elements;
  const ASKED = 3000; // ms for which a sentence that is being taken back is not taken back again
  const LONG = 140; // letters of a sentence that are shown; a pointer over it shows the rest
  const COMING = 2000; // ms within which what was sent is read
  const asked = new Map(), painted = {};
  let sentences = [], seat = false, spoken = null, coming = null;

  function changed(name, value) {
    const now = JSON.stringify(value);
    if (painted[name] === now) return false;
    painted[name] = now;
    return true;
  }

  function tell(name, what, meaning) {
    if (what === 'undo') asked.set(name, performance.now());
    if (window.emitEvent) window.emitEvent('drive-sentence', meaning ? {sentence: name, do: what, meaning} : {sentence: name, do: what});
  }

  // What was just sent is the newest also before it has been read; then it is taken back as soon as it is.
  function follow(state) {
    if (spoken !== null && state.spoken > spoken) coming = {after: state.count, at: performance.now(), back: false};
    spoken = state.spoken;
    if (!coming || state.count <= coming.after || !sentences[0].name) return;
    if (coming.back && sentences[0].undo) tell(sentences[0].name, 'undo');
    coming = null;
  }

  // The newest that can be: pressed twice, the two newest.
  function takeBack() {
    const now = performance.now();
    if (coming && seat && now - coming.at < COMING) { coming.back = true; return; }
    const last = sentences.find((s) => s.undo && !(now - asked.get(s.name) < ASKED));
    if (last && seat) tell(last.name, 'undo');
    else if (window.Quasar) window.Quasar.Notify.create({message: 'Nothing of what was said can be taken back', type: 'warning', position: 'top', timeout: 2000});
  }

  function press(classes, words, title, able, act) {
    const e = node('button', classes, words);
    e.type = 'button';
    e.dataset.seatOnly = '1';
    e.dataset.title = title;
    able(e);
    e.addEventListener('click', () => { act(); e.blur(); });
    return e;
  }

  const ICONS = {sent: 'hourglass_top', ask: 'help', undone: 'undo', nothing: 'block', praise: 'thumb_up', blame: 'thumb_down', rule: 'gavel'};
  function row(s, able) {
    const made = node('div', 'd-sentence'), words = node('div', 'd-sentence-words');
    made.dataset.state = s.state;
    made.dataset.name = s.name;
    made.title = `${s.author}: ${s.text}`;
    words.append(node('b', '', `“${s.text.length > LONG ? `${s.text.slice(0, LONG)}…` : s.text}”`));
    if (s.words) {
      const does = node('span', 'd-does', ` ${s.words}`);
      does.prepend(icon(ICONS[s.state] || 'arrow_forward'));
      words.append(' ', does);
    }
    if (s.learned) {
      const learned = node('em', 'd-learned', s.learned);
      learned.prepend(icon('school'));
      words.append(' ', learned);
    }
    made.append(words);
    if (s.undo) {
      const back = press('d-take-back', '', s.state === 'ask' ? 'It was nothing' : 'Take it back: every trace of it goes (Z: the newest)', able, () => tell(s.name, 'undo'));
      back.setAttribute('aria-label', `Take back: ${s.text}`);
      back.append(icon('undo'));
      if (s.state !== 'ask') made.append(back);
    }
    if (s.state === 'ask') {
      const choices = node('div', 'd-chips d-choices');
      for (const c of s.choices) choices.append(press('d-chip', c.words, `It means: ${c.words}`, able, () => tell(s.name, 'choose', c.meaning)));
      choices.append(press('d-chip d-nothing', 'it was nothing', 'Nothing was meant', able, () => tell(s.name, 'undo')));
      made.append(choices);
    }
    return made;
  }

  function rule(r, able) {
    const e = press('d-chip d-rule', r.words, `${r.text}: click to switch it off`, able, () => tell(r.name, 'undo'));
    e.prepend(icon('gavel'));
    e.append(icon('close'));
    e.setAttribute('aria-label', `Rule: ${r.words}. Switch off`);
    return e;
  }

  function paint(state, able) {
    seat = Boolean(state.seat);
    sentences = state.sentences || [];
    follow(state);
    const rules = state.rules || [], chips = state.chips || [];
    const note = find('d-note');
    if (note.textContent !== (state.note || '')) { note.textContent = state.note || ''; note.title = state.note || ''; }
    if (changed('rules', [rules, seat])) {
      find('d-rules').hidden = !rules.length;
      find('d-rules').replaceChildren(...(rules.length ? [node('span', 'c-caption', 'Rules'), ...rules.map((r) => rule(r, able))] : []));
    }
    if (changed('chips', [chips, seat])) {
      find('d-chips').replaceChildren(...chips.map((words) => press('d-chip', words, `Send: ${words}`, able, () => window.console_speech.send(words, 0))));
    }
    const shown = [...(state.sent || []), ...sentences];
    if (changed('said', [shown, seat])) {
      find('d-said').replaceChildren(...(shown.length ? shown.map((s) => row(s, able)) : [node('div', 'c-dim', 'Nothing said yet.')]));
    }
  }

  return {
    paint, // state: of the page; able: enables an element or says why not
    takeBack, // the newest sentence
  };
})();
