"""A mail server for tests, of the package aiosmtpd: with TLS from the first byte on, with STARTTLS, or without TLS, and with a login.

Writes a line of JSON for its port, for each attempt to log in, and for each mail.

    server.py {implicit|starttls|plain} CERTIFICATE KEY USER PASSWORD
"""

import asyncio
import hmac
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def say(**line):
    print(json.dumps(line), flush=True)


def over_tls(server):
    return server.transport.get_extra_info("ssl_object") is not None


class Mails:
    async def handle_DATA(self, server, session, envelope):
        content = envelope.content.decode()
        say(mail=content, to=envelope.rcpt_tos, tls=over_tls(server), user=session.auth_data)
        return "250 sent"


def authenticator(user, password):
    def authenticate(server, session, envelope, mechanism, data):
        is_login = isinstance(data, LoginPassword)
        is_right = is_login and data.login == user.encode() and hmac.compare_digest(data.password, password.encode())
        say(login=is_right, tls=over_tls(server))
        return AuthResult(success=is_right, auth_data=user, handled=False)

    return authenticate


async def serve(mode, certificate, key, user, password):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def connection():
        is_starttls = mode == "starttls"
        return SMTP(
            Mails(),
            hostname="mail.example",
            tls_context=context if is_starttls else None,
            require_starttls=is_starttls,
            authenticator=authenticator(user, password),
            auth_required=True,
            # With TLS from the first byte on, the connection is encrypted, which aiosmtpd does not know. A server without TLS
            # takes logins too, so that it is the client that has to refuse.
            auth_require_tls=is_starttls,
            loop=asyncio.get_running_loop(),
        )

    implicit = context if mode == "implicit" else None
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=implicit)
    say(port=server.sockets[0].getsockname()[1])
    # It ends with the test, which closes its standard input.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(serve(*sys.argv[1:]))
