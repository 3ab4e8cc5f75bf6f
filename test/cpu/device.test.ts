import { describe, expect, it } from 'vitest';
import { Device, deviceRung, ringDoorbell } from '../../src/cpu/device.js';
import { Control } from '../../src/cpu/hw.js';
import { ExecutionStopped } from '../../src/shared/errors.js';
import { localMachine } from '../machine.js';

describe('a device that sleeps until its doorbell rings', () => {
  it('has work from the ring on, though its worker may not have woken up yet', () => {
    const { k, config } = localMachine('arm926');
    const buffers = { arena: k.words.buffer as SharedArrayBuffer, hw: k.hw.buffer as SharedArrayBuffer };
    const device = new Device(config, buffers, 0);
    expect(deviceRung(k.hw, k.layout, 1)).toBe(false);
    // Called off while it sleeps: the only way back to this thread.
    k.hw[Control.abort] = 1;
    expect(() => device.waitDoorbell()).toThrow(ExecutionStopped);
    expect(deviceRung(k.hw, k.layout, 1)).toBe(false);
    ringDoorbell(k, 0);
    expect(deviceRung(k.hw, k.layout, 1)).toBe(true);
    k.hw[Control.abort] = 0;
    device.waitDoorbell();
    expect(deviceRung(k.hw, k.layout, 1)).toBe(false);
  });
});
