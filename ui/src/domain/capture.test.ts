import { describe, expect, it } from 'vitest';
import type { Status } from '../api/types';
import { captureOf } from './capture';

const status: Status = {
  version: '0.1.0', revision: '', goVersion: '', startTime: '2026-01-01T00:00:00Z', uptimeSeconds: 1, ready: true, reason: '',
  capture: { enabled: true, method: 'tracepoint', programs: [{ name: 'tcp_send', attached: true, error: '' }], lacking: [] },
  stages: [{ name: 'ring', events: 10, lost: 0, unresolved: 0 }],
  store: { path: '', oldestTime: null, retentionSeconds: 1 },
};

describe('captureOf', () => {
  it.each([
    ['nothing known yet', undefined, undefined, 'unknown', /not answered yet/],
    ['ready, no details', null, undefined, 'ok', /is ready/],
    ['capturing', null, status, 'ok', /through tracepoint\. Nothing lost/],
    ['not ready', 'the kernel refused every program', undefined, 'detached', /^The kernel refused every program\.$/],
    ['not ready by status alone', undefined, { ...status, ready: false, reason: 'no BTF' }, 'detached', /^No BTF\.$/],
    ['switched off', null, { ...status, capture: { ...status.capture, enabled: false } }, 'detached', /switched off/],
    ['loss', null, { ...status, stages: [{ name: 'ring', events: 9, lost: 1234, unresolved: 0 }] }, 'loss', /1,234 events lost at ring/],
    [
      'one program missing', null,
      { ...status, capture: { ...status.capture, programs: [{ name: 'udp', attached: false, error: 'EPERM' }] } },
      'loss', /Udp is not attached: EPERM/,
    ],
    [
      'a capability missing', null,
      { ...status, capture: { ...status.capture, lacking: [{ capability: 'CAP_NET_ADMIN', unseen: 'datagrams come by the socket filter' }] } },
      'loss', /Without CAP_NET_ADMIN: datagrams come by the socket filter\./,
    ],
    [
      'another way that was refused', null,
      { ...status, capture: { ...status.capture, programs: [...status.capture.programs, { name: 'fexit_send', attached: false, error: 'EPERM' }] } },
      'ok', /Nothing lost/,
    ],
    [
      'names from before', null, { ...status, stages: [{ name: 'protocol', events: 9, lost: 0, unresolved: 7 }] },
      'ok', /7 requests on connections older/,
    ],
    ['a capture file', null, { ...status, capture: { enabled: true, method: 'replay', programs: [], lacking: [] } }, 'ok', /from a capture file/],
    [
      'a capture file with gaps', null,
      { ...status, capture: { enabled: true, method: 'replay', programs: [], lacking: [] }, stages: [{ name: 'packets', events: 9, lost: 3, unresolved: 0 }] },
      'loss', /3 runs of packets/,
    ],
    ['a server without capture', null, { ...status, capture: { ...status.capture, programs: [] } }, 'ok', /does not capture/],
  ])('%s', (_name, readiness, at, state, detail) => {
    const capture = captureOf(readiness, at);
    expect(capture.state).toBe(state);
    expect(capture.detail).toMatch(detail);
  });
});
