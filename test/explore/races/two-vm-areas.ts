/** Two CPUs reserve an area each: of whatever schedule, two areas come of it. */
import {
  checkVmallocInvariants,
  expect,
  get_vm_area,
  type Kernel,
  race,
  struct_vm_struct,
  VM_IOREMAP,
} from '../../../src/index.js';

const reserve = (name: 'first' | 'second') => (k: Kernel) => {
  k.vars[name] = k.read(get_vm_area(k, 4096, VM_IOREMAP), struct_vm_struct.addr);
};

export default race({
  id: 'two-vm-areas',
  title: 'two CPUs reserve vmalloc addresses',
  machine: { core: 'cortex-a9', cpus: 2, kernel: '4.12', highmemPages: 0 },
  vars: ['first', 'second'],

  threads: [reserve('first'), reserve('second')],
  check(k) {
    const wrong = checkVmallocInvariants(k);
    expect(wrong === null, wrong ?? '');
    expect(k.vars.first !== k.vars.second, 'both have the same addresses', k.vars.first!);
  },
});
