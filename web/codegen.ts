import type { CodegenConfig } from '@graphql-codegen/cli';

// Types of the operations in src/graphql, from the schema that `apex schema` writes. `make web-check` fails if what is
// committed differs from what this generates.
const config: CodegenConfig = {
  schema: process.env.APEX_WEB_SCHEMA ?? '../schema.graphql',
  documents: 'src/graphql/*.graphql',
  generates: {
    [process.env.APEX_WEB_GENERATED ?? 'src/graphql/generated/']: {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        enumsAsTypes: true,
        useTypeImports: true,
        strictScalars: true,
        defaultScalarType: 'unknown',
        // As the schema describes them: sums and positions exceed what a number of JavaScript holds exactly.
        scalars: {
          BigInt: 'string',
          DateTime: 'string',
          Decimal: 'string',
          JSON: 'unknown',
          Long: 'number',
          Position: 'string',
          UUID: 'string',
        },
      },
    },
  },
};

export default config;
