// An audio worklet: while it is told to, it gives the first channel on as 16-bit samples, a tenth of a second each.
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.on = false;
    this.size = Math.round(sampleRate / 10);
    this.fresh();
    this.port.onmessage = ({data}) => {
      if (data === 'begin') { this.fresh(); this.on = true; return; }
      this.on = false;
      if (this.filled && data === 'end') this.port.postMessage(this.part.slice(0, this.filled).buffer);
      this.port.postMessage(data);
      this.fresh();
    };
  }

  fresh() { this.part = new Int16Array(this.size); this.filled = 0; }

  process([input]) {
    const samples = input && input[0];
    if (!this.on || !samples) return true;
    for (const sample of samples) {
      this.part[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
      if (this.filled === this.size) {
        const full = this.part.buffer;
        this.fresh();
        this.port.postMessage(full, [full]);
      }
    }
    return true;
  }
}
registerProcessor('recorder', Recorder);
