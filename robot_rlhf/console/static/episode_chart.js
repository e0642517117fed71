// An episode along its time: who drove, rewards and scores, and what the critic promised.
window.episode_chart = (() => {
  const {colour, fit} = window.clips;

  function draw(canvas, open, values) {
    const context = fit(canvas), width = canvas.clientWidth, T = open.steps;
    const look = {policy: '--policy', human: '--you', reflex: '--reflex'};
    for (const [driver, start, length] of open.drivers) {
      context.fillStyle = colour(look[driver]);
      context.fillRect(width * start / T, 6, Math.max(1, width * length / T), 14);
    }
    const low = Math.min(0, ...open.rewards), high = Math.max(0, ...open.rewards);
    const y = value => 122 - 66 * (high > low ? (value - low) / (high - low) : 0);
    context.strokeStyle = colour('--line');
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, y(0));
    context.lineTo(width, y(0));
    context.stroke();
    context.strokeStyle = colour('--accent');
    context.lineWidth = 2;
    context.beginPath();
    open.rewards.forEach((value, i) => {
      context[i ? 'lineTo' : 'moveTo'](width * i / T, y(value));
      context.lineTo(width * (i + 1) / T, y(value));
    });
    context.stroke();
    if (values) drawValues(context, width, open.steps, values);
    const scores = open.events.filter(event => event.kind === 'score' && event.value !== null);
    context.fillStyle = context.strokeStyle = colour('--warn');
    for (const event of scores) context.fillRect(width * event.start / T, 122 - 66 * event.value - 1, Math.max(3, width * event.length / T), 3);
    context.fillStyle = colour('--dim');
    context.font = '11px Roboto, system-ui, sans-serif';
    context.fillText(`reward ${high > low ? `${low.toPrecision(2)} to ${high.toPrecision(2)}` : low.toPrecision(2)}${scores.length ? ' · score' : ''}`, 2, 56);
  }

  function range(values) {
    const known = [...values.q, ...values.return].filter(value => value !== null);
    return [Math.min(0, ...known), Math.max(0, ...known)];
  }

  // Q as a line, the return that followed dashed, on a scale of their own.
  function drawValues(context, width, steps, values) {
    const [low, high] = range(values);
    context.strokeStyle = colour('--good');
    context.lineWidth = 1.5;
    for (const [line, dashes] of [[values.q, []], [values.return, [4, 4]]]) {
      context.setLineDash(dashes);
      context.beginPath();
      let drawing = false;
      line.forEach((value, i) => {
        if (value !== null) context[drawing ? 'lineTo' : 'moveTo'](width * (i + 0.5) / steps, 122 - 66 * (high > low ? (value - low) / (high - low) : 0));
        drawing = value !== null;
      });
      context.stroke();
    }
    context.setLineDash([]);
  }

  return {
    draw, // open: an episode as the server tells it; values: the critic's, or null
    range, // of the critic's values: lowest and highest, zero among them
  };
})();
