import type { Status } from '../api/types';
import { plural } from './format';

/** What the dot in the header tells about capture. */
export interface Capture {
  state: 'ok' | 'loss' | 'detached' | 'unknown';
  /** A word or two beside the dot. */
  label: string;
  /** Sentences for those who want to know. */
  detail: string;
}

/** Sums up /-/ready (null: ready; a text: why not; undefined: not known) and /api/v1/status (undefined: not known). */
export function captureOf(readiness: string | null | undefined, status: Status | undefined): Capture {
  if (readiness === undefined && status === undefined) {
    return { state: 'unknown', label: 'Connecting', detail: 'Toposcope has not answered yet.' };
  }
  const reason = readiness ?? status?.reason ?? '';
  if (readiness || status?.ready === false || status?.capture.enabled === false) {
    return { state: 'detached', label: 'Not capturing', detail: reason === '' ? 'Capture is switched off.' : sentence(reason) };
  }
  if (!status) return { state: 'ok', label: 'Ready', detail: 'Toposcope is ready.' };
  const { method, programs, lacking } = status.capture;
  if (method === 'replay') {
    const missing = status.stages.reduce((sum, s) => sum + s.lost, 0);
    return missing === 0
      ? { state: 'ok', label: 'Capture file', detail: 'Shown from a capture file, at its own time. Nothing is missing in it.' }
      : { state: 'loss', label: 'Capture file, in part', detail: `Shown from a capture file, at its own time. ${plural(missing, 'run')} of packets are missing in it.` };
  }
  // A server that shows what agents have written captures nothing of its own.
  if (programs.length === 0) return { state: 'ok', label: 'Ready', detail: 'Toposcope is ready; it does not capture on this host.' };

  const facts = [`Capturing through ${method === '' ? 'eBPF' : method}.`];
  const failed = programs.filter((p) => !p.attached && isWanted(p.name, method));
  const lossy = status.stages.filter((s) => s.lost > 0);
  for (const { name, lost } of lossy) facts.push(`${plural(lost, 'event')} lost at ${name} since the start.`);
  for (const { name, error } of failed) facts.push(sentence(`${name} is not attached${error === '' ? '' : `: ${error}`}`));
  for (const { capability, unseen } of lacking) facts.push(sentence(`Without ${capability}: ${unseen}`));
  if (lossy.length === 0) facts.push('Nothing lost since the start.');
  const unresolved = status.stages.reduce((sum, s) => sum + s.unresolved, 0);
  if (unresolved > 0) {
    facts.push(`${plural(unresolved, 'request')} on connections older than Toposcope, or after a loss, read “unknown” where the bytes refer to what was not seen.`);
  }
  if (lossy.length > 0) return { state: 'loss', label: 'Capture loss', detail: facts.join(' ') };
  if (failed.length > 0 || lacking.length > 0) return { state: 'loss', label: 'Capturing in part', detail: facts.join(' ') };
  return { state: 'ok', label: 'Capturing', detail: facts.join(' ') };
}

// How the names of programs begin that belong to one way of capture; the rest serve all of them.
const WAYS: Record<string, string[]> = {
  fexit: ['fentry_', 'fexit_'],
  kprobe: ['kprobe_', 'kretprobe_'],
  tracepoint: ['tracepoint_'],
  syscall: ['syscall_'],
};

/** Whether a program is part of the way in force: that those of another way could not be attached is why it was taken. */
function isWanted(program: string, method: string): boolean {
  return !Object.entries(WAYS).some(([way, beginnings]) => way !== method && beginnings.some((b) => program.startsWith(b)));
}

function sentence(reason: string): string {
  const upper = reason.charAt(0).toUpperCase() + reason.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
