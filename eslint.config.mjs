import js from '@eslint/js'
import globals from 'globals'

export default [
  {
    ignores: [
      'binding.cjs',
      'target/**',
      'dist/**',
      'node_modules/**',
      '**/*.d.ts',
      'examples/http-*.mjs',
    ],
  },
  js.configs.recommended,
  {
    languageOptions: { globals: globals.node },
    rules: {
      eqeqeq: 'error',
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      'no-var': 'error',
      'prefer-const': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  // A table, not a program.
  { files: ['__test__/axios-wire.mjs'], rules: { 'max-lines': 'off' } },
]
