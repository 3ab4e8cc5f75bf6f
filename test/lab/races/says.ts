/** What a case says beside its outcome, and numbers that tell cases apart. */
import { race, report } from '../../../src/index.js';

export default race({
  id: 'test-says',
  machine: { core: 'arm926', cpus: 1, parameters: { answer: 41, other: 7 } },
  cases: [
    { name: 'said', machine: { parameters: { answer: 42 } }, outcome: 'report', says: ['the answer is 42', 'other 7'] },
    { name: 'not said', outcome: 'report', says: ['the answer is 42'] },
    { name: 'nothing to say', machine: { parameters: { answer: 0 } }, outcome: 'clean', says: ['the answer'] },
  ],
  threads: [
    (k) => {
      const { answer, other } = k.config.parameters;
      if (answer !== 0) report(`the answer is ${answer}, other ${other}`);
    },
  ],
});
