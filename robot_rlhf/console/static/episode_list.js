// The list of a session's episodes, the newest first, by outcome and kind.
window.episode_list = (() => {
  const {make, button, option} = window.clips;
  const ROWS = 300;
  const WORDS = { // outcomes, drivers and kinds
    success: 'Success', failure: 'Failure', time_limit: 'Time limit', discarded: 'Deleted', fault: 'Fault',
    stopped: 'Stopped', paused: 'Paused', running: 'Recording', broken_off: 'Broken off',
    policy: 'Policy', human: 'Person', reflex: 'Reflex',
    demonstration: 'Demonstration', practice: 'Practice', evaluation: 'Evaluation',
  };
  let told = [], here = null, outcome = '', kind = '', spoken = '', cap = ROWS, choose = () => {};

  function filter(name, set) {
    const made = make('select', 'label-select', {'aria-label': name, onchange: () => { set(made.value); made.blur(); showRows(); }});
    return made;
  }
  const outcomes = filter('Outcome', value => { outcome = value; }), kinds = filter('Kind', value => { kind = value; });
  const speech = filter('Sentences', value => { spoken = value; });
  const box = make('div', 'review-rows c-panel', {role: 'list'}), problem = make('div', 'review-problem');

  function build(onChoose) {
    choose = onChoose;
    return make('div', 'review-list', {}, make('div', 'review-filters', {}, outcomes, kinds, speech), box, problem);
  }

  function show(episodes, wrong) {
    told = episodes;
    problem.textContent = wrong;
    showFilters();
    showRows();
  }

  function showFilters() {
    for (const [select, all, field, value] of [[outcomes, 'Any outcome', 'outcome', outcome], [kinds, 'Any kind', 'kind', kind]]) {
      const counts = new Map();
      for (const row of told) counts.set(row[field], (counts.get(row[field]) || 0) + 1);
      select.replaceChildren();
      option(select, '', all);
      for (const [name, count] of counts) option(select, name, `${WORDS[name] || name} (${count})`);
      if (value && !counts.has(value)) option(select, value, `${WORDS[value] || value} (0)`);
      select.value = value;
    }
    speech.replaceChildren();
    option(speech, '', 'Said or not');
    option(speech, 'said', `With sentences (${told.filter(row => row.sentences).length})`);
    speech.value = spoken;
  }

  function rows() {
    return told.filter(row => (!outcome || row.outcome === outcome) && (!kind || row.kind === kind) && (!spoken || row.sentences)).reverse();
  }

  function showRows() {
    const chosen = rows(), above = box.scrollTop;
    box.replaceChildren();
    for (const row of chosen.slice(0, cap)) {
      const facts = `${WORDS[row.outcome] || row.outcome} · ${row.steps} steps${row.human ? ` · ${Math.round(100 * row.human / row.steps)} % person` : ''}${row.sentences ? ` · ${row.sentences} said` : ''}`;
      const entry = make('button', 'review-row', {
        type: 'button', role: 'listitem', 'data-outcome': row.outcome, 'data-deleted': String(row.deleted), 'data-number': String(row.number),
        'aria-current': String(row.number === here), onclick: () => { entry.blur(); choose(row.number); },
      }, make('i'), make('b', 'c-line', {}, row.id), make('span', '', {}, `${row.seconds.toFixed(1)} s`), make('span', 'review-facts', {}, facts));
      box.append(entry);
    }
    if (chosen.length > cap) box.append(button(`${chosen.length - cap} older`, 'review-more', () => { cap += ROWS; showRows(); }));
    if (!chosen.length && told.length) box.append(make('div', 'review-empty', {}, 'No such episode.'));
    box.scrollTop = above;
  }

  function mark(number) {
    here = number;
    for (const entry of box.querySelectorAll('.review-row')) entry.setAttribute('aria-current', String(entry.dataset.number === String(number)));
  }

  function go(by) {
    const chosen = rows();
    const now = chosen.findIndex(row => row.number === here);
    const next = chosen[Math.max(0, Math.min(chosen.length - 1, now + by))];
    if (!next) return;
    choose(next.number);
    const entry = box.querySelector(`[data-number="${next.number}"]`);
    if (entry) entry.scrollIntoView({block: 'nearest'});
  }

  return {
    build, // onChoose: told the number of the episode that a person chose; returns the element
    show, // episodes: as the server tells them; wrong: why there are no more, or empty
    mark, // number: of the episode that is shown
    go, // by: so many rows down the list
    words: WORDS,
  };
})();
