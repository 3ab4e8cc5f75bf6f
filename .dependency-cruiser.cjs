/** Who may import whom: the arrows of STYLE.md's house never point up. Type imports count as imports. */

/** A rule per floor: `src/<floor>/` imports itself and the floors named, and nothing else of this project. */
const floor = (name, below) => ({
  name: `${name}-imports-only-below`,
  comment: `src/${name} may import: ${[name, ...below].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${name}/` },
  to: {
    path: '^(src|workers|experiments|stress|examples|bench|test)/',
    pathNot: `^src/(${[name, ...below].join('|')})/`,
  },
});

/** A package belongs to the folders named. */
const only = (packages, where) => ({
  name: `${packages[0]}-stays-in-its-place`,
  comment: `${packages.join(', ')}: only in ${where}`,
  severity: 'error',
  from: { path: '^(src|workers|experiments|stress|examples|bench)/', pathNot: where },
  to: { path: `(^|/)node_modules/(${packages.join('|')})/` },
});

const HARDWARE = ['shared', 'cpu'];
const KERNEL = [...HARDWARE, 'arch', 'mm'];

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-unresolved',
      comment: 'an import that resolves to nothing',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    floor('shared', []),
    floor('cpu', ['shared']),
    floor('arch', HARDWARE),
    floor('mm', [...HARDWARE, 'arch']),
    floor('drivers', KERNEL),
    floor('check', HARDWARE),
    floor('lab', [...KERNEL, 'drivers', 'check']),
    floor('explore', [...KERNEL, 'drivers', 'check', 'lab']),
    floor('report', [...KERNEL, 'drivers', 'check', 'lab', 'explore']),
    floor('cli', [...KERNEL, 'drivers', 'check', 'lab', 'explore', 'report']),
    {
      name: 'experiments-use-the-public-api',
      comment: 'experiments, stress suites and examples import #murphy (src/index.ts) and each other',
      severity: 'error',
      from: { path: '^(experiments|stress|examples)/' },
      to: { path: '^(src|workers|bench|test)/', pathNot: '^src/index\\.ts$' },
    },
    {
      name: 'kernel-knows-no-node',
      comment: 'kernel code is plain TypeScript: no modules of Node below the lab',
      severity: 'error',
      from: { path: '^src/(arch|mm|drivers)/' },
      to: { dependencyTypes: ['core'] },
    },
    only(['comlink'], '^(src/(lab|explore)|workers)/'),
    only(['piscina'], '^src/explore/'),
    only(['pino', 'pino-pretty', 'picocolors', 'cli-progress', 'cli-table3'], '^(src/(report|cli)|bench)/'),
    only(['commander', 'zod'], '^src/(cli|explore|lab)/'),
    only(['esbuild'], '^src/lab/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};
