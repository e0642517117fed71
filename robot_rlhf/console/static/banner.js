// What the banner says of who drives: its look, icon and words. Made from what is known, and from nothing else.
window.console_banner = (() => {
  const sentence = (words) => (words ? words.charAt(0).toUpperCase() + words.slice(1).replace(/\.$/, '') + '. ' : '');
  const reason = (state) => { const f = (state.guard || []).find((e) => e.latched); return f ? f.text : ''; };

  // present: the newest situation; moment: the step that a rewind is to reach, or null; state: what the server said;
  // fresh: whether situations come; linked: how the driving socket is; ended: whether the session is over.
  function banner({present: p, moment, state, fresh, linked, ended}) {
    const seat = state.seat, who = state.operator || '';
    const demonstrates = p && p.kind === 'demonstration';
    const look = (look, icon, words, sub, badge = '') => ({look, icon, words, sub, badge});
    if (!fresh && !ended && linked !== 'lost' && state.stage === 'ending') {
      return look('waiting', 'hourglass_top', 'ENDING THE SESSION', 'Everything is saved; the learner finishes. The robot stands still');
    }
    if (!fresh) {
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
      case 'stopped': return look('stopped', 'dangerous', 'STOPPED: release to go on', seat ? reason(state) || 'Look at the robot, then press Release' : watches, badge);
      case 'paused': return look('paused', 'pause_circle', 'PAUSED', seat ? `${sentence(p.detail)}Drive, or press ${touch ? 'Go on' : 'N'}, to go on` : sentence(p.detail) + watches, badge);
      case 'rewinding': return look('rewinding', 'fast_rewind', 'REWINDING', `back to step ${moment === null ? p.step : moment}`, badge);
      case 'resetting': return look('resetting', 'restart_alt', 'RESETTING', p.detail || 'The next episode begins by itself', badge);
      case 'waiting': return look('waiting', 'hourglass_top', 'WAITING', collecting && !seat ? `${watches}. It begins when they drive` : p.detail || (collecting ? show : watches), badge);
    }
    if (p.driver === 'human' && p.spoken) {
      const whose = seat ? 'YOUR WORDS DRIVE' : who ? `${who.length > 14 ? who.slice(0, 13) + '…' : who}’s words drive`.toUpperCase() : 'WORDS DRIVE';
      const said = (state.sentences || []).find((s) => s.name === p.spoken);
      return look(seat ? 'you' : 'other', 'record_voice_over', whose, seat ? `${said ? `“${said.text.slice(0, 40)}” ` : ''}${touch ? 'Move a stick' : 'Hold a motion key'} to take over` : watches, badge);
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
      return look('reflex', 'shield', 'REFLEX: HOLDING STILL', p.detail || reason(state) || (seat ? next : watches), badge);
    }
    return look('nobody', 'do_not_disturb_on', 'NOBODY DRIVES', seat && collecting ? `Your turn. ${show}` : p.detail || watches, badge);
  }

  return banner;
})();
