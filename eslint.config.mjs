import js from '@eslint/js'
import globals from 'globals'
import typescript from 'typescript-eslint'

export default typescript.config(
  {
    ignores: [
      'binding.cjs',
      'target/**',
      'fuzz/target/**',
      'dist/**',
      'inspector/dist/**',
      'site/dist/**',
      'site/.vitepress/cache/**',
      'site/node_modules/**',
      'node_modules/**',
      '**/*.d.ts',
      'examples/http-*.mjs',
      'examples/moved/*.js',
      '__test__/steps/corpus/**',
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
  {
    files: ['inspector/**/*.{ts,tsx}'],
    extends: [typescript.configs.strictTypeChecked],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { project: './inspector/tsconfig.json' },
    },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      'no-unused-vars': 'off',
    },
  },
  // Steps use the globals that a runner gives them.
  { files: ['examples/**'], languageOptions: { globals: { $send: 'readonly' } } },
  // A table, not a program.
  { files: ['__test__/support/axios-wire.mjs'], rules: { 'max-lines': 'off' } },
)
