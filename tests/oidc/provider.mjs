// A real OpenID provider for the tests: oidc-provider with its development login, which accepts every name. What it says of a
// person is in a file that a test can change. Each start has new signing keys.
//
//   node provider.mjs '{"host": "127.0.0.1", "port": 4711, "accounts": "FILE", "claimsInIdToken": true, "authentication": "client_secret_basic"}'
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2]);
const issuer = `http://${settings.host}:${settings.port}`;

async function key(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), alg, use: 'sig' };
}

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: 'apex',
      client_secret: 'green tea is not a secret',
      redirect_uris: ['http://127.0.0.1:1/auth/callback'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: settings.authentication ?? 'client_secret_basic',
      id_token_signed_response_alg: settings.algorithm ?? 'RS256',
    },
  ],
  jwks: { keys: [await key('RS256'), await key('ES256')] },
  cookies: { keys: ['a test needs no secret here'] },
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name'],
    groups: ['groups'],
  },
  scopes: ['openid', 'profile', 'email', 'groups'],
  conformIdTokenClaims: !settings.claimsInIdToken,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  async findAccount(_, sub) {
    const claims = JSON.parse(readFileSync(settings.accounts))[sub] ?? {};
    return { accountId: sub, claims: async () => ({ sub, ...claims }) };
  },
});
// The port of the server under test is known later.
provider.Client.prototype.redirectUriAllowed = (uri) => /^http:\/\/127\.0\.0\.1:\d+\/auth\/callback$/.test(uri);

createServer(provider.callback()).listen(settings.port, '127.0.0.1', () => console.log('ready'));
