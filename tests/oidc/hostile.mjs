// A hostile OpenID provider for the tests: it signs whatever it is told to. A code is base64url of JSON that says how to answer:
//
//   claims    of the ID token, in addition to and instead of those of a good one; null removes one
//   header    of the ID token, instead of a good one
//   signature "none", "hs256-secret", "hs256-public-key", "other-key", "unknown-kid", "es256-as-rs256" or "broken"
//   answer    of the token endpoint: "slow", "large", "redirect", "html", "error", "no-id-token", "bad-access-token"
//   userinfo  what the userinfo endpoint says; by default the subject of the ID token
//
//   node hostile.mjs '{"port": 4711, "clientId": "apex", "clientSecret": "…", "document": {…}}'
import { createHash, createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { CompactSign, exportJWK, exportSPKI, generateKeyPair } from 'jose';

const settings = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${settings.port}`;
const [own, other, curve] = await Promise.all(['RS256', 'RS256', 'ES256'].map((alg) => generateKeyPair(alg, { extractable: true })));
const jwks = { keys: [
  { ...(await exportJWK(own.publicKey)), kid: 'own', alg: 'RS256', use: 'sig' },
  { ...(await exportJWK(curve.publicKey)), kid: 'curve', alg: 'ES256', use: 'sig' },
] };
const publicPem = await exportSPKI(own.publicKey);
let requestsForKeys = 0;

const base64url = (value) => Buffer.from(value).toString('base64url');
const compact = (header, claims) => `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
const hs256 = (input, key) => `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
const sign = (key, header, claims) => new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader(header).sign(key, { crit: { exp: true } });

async function idToken({ claims: changes = {}, header: changedHeader = {}, signature }, accessToken) {
  const now = Math.floor(Date.now() / 1000);
  const half = createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url');
  const good = { iss: issuer, sub: 'mallory', aud: settings.clientId, iat: now, exp: now + 300, at_hash: half };
  const claims = Object.fromEntries(Object.entries({ ...good, ...changes }).filter(([, value]) => value !== null));
  const header = { alg: 'RS256', kid: 'own', typ: 'JWT', ...changedHeader };
  switch (signature) {
    case 'none': return `${compact({ ...header, alg: 'none' }, claims)}.`;
    case 'hs256-secret': return hs256(compact({ ...header, alg: 'HS256' }, claims), settings.clientSecret);
    case 'hs256-public-key': return hs256(compact({ ...header, alg: 'HS256' }, claims), publicPem);
    case 'other-key': return sign(other.privateKey, header, claims);
    case 'unknown-kid': return sign(own.privateKey, { ...header, kid: 'unknown' }, claims);
    case 'es256-as-rs256': return sign(curve.privateKey, { ...header, alg: 'ES256', kid: 'own' }, claims);
    case 'es256': return sign(curve.privateKey, { ...header, alg: 'ES256', kid: 'curve' }, claims);
    case 'broken': return (await sign(own.privateKey, header, claims)).replace(/.{8}$/, 'AAAAAAAA');
    default: return sign(own.privateKey, header, claims);
  }
}

function send(response, status, body, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

const answers = {
  slow: () => {},
  large: (response) => send(response, 200, `{"access_token":"${'a'.repeat(2_000_000)}"}`),
  redirect: (response) => send(response, 307, '', { location: `${issuer}/elsewhere` }),
  html: (response) => send(response, 502, '<h1>Bad gateway</h1>', { 'content-type': 'text/html' }),
  error: (response) => send(response, 400, { error: 'invalid_grant' }),
};

async function token(request, response) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const told = JSON.parse(Buffer.from(new URLSearchParams(body).get('code'), 'base64url').toString());
  if (told.answer in answers) return answers[told.answer](response);
  const accessToken = told.answer === 'bad-access-token' ? 'a\nb' : base64url(JSON.stringify(told.userinfo ?? { sub: told.claims?.sub ?? 'mallory' }));
  const answer = { access_token: accessToken, token_type: 'Bearer', expires_in: 60 };
  if (told.answer !== 'no-id-token') answer.id_token = await idToken(told, accessToken);
  return send(response, 200, answer);
}

createServer((request, response) => {
  const { pathname } = new URL(request.url, issuer);
  if (pathname === '/.well-known/openid-configuration') {
    const document = {
      issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`, jwks_uri: `${issuer}/jwks`, response_types_supported: ['code'],
      subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'], ...settings.document,
    };
    send(response, 200, document);
  } else if (pathname === '/jwks') {
    requestsForKeys += 1;
    send(response, 200, jwks);
  } else if (pathname === '/requests-for-keys') {
    send(response, 200, { requestsForKeys });
  } else if (pathname === '/token') {
    token(request, response).catch((error) => send(response, 500, { error: String(error) }));
  } else if (pathname === '/userinfo') {
    const bearer = (request.headers.authorization ?? '').replace('Bearer ', '');
    send(response, 200, Buffer.from(bearer, 'base64url').toString() || '{}');
  } else {
    send(response, 404, {});
  }
}).listen(settings.port, '127.0.0.1', () => console.log('ready'));
