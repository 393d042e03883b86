"""What Swagger UI shows first: how the API works, and its groups in their order."""

TAGS = [
    {"name": "Sign-up and sessions", "description": "An account, and tokens to use it with."},
    {"name": "Users", "description": "Profiles: one's own, and those of others."},
    {"name": "Follows", "description": "Who follows whom."},
    {"name": "Tweets", "description": "Post, read and delete them."},
    {"name": "Reactions", "description": "What one does to tweets. Twice is the same as once."},
    {"name": "Timelines", "description": "Pages of tweets, newest first."},
    {"name": "Your data", "description": "A copy of all that is stored of you."},
    {"name": "Health", "description": "For load balancers and monitoring."},
]

DESCRIPTION = """
People post 280 characters, follow each other, like, retweet, and read a home timeline.

**Try it here.** Press *Authorize* and log in; with [create_account][create] you get an account.
Then open an endpoint and press *Try it out*. When you get 401 after a while, the token has
expired: log out and in again under *Authorize*.

**Tokens.** [log_in][log_in] answers an access token and a refresh token. Send the access token
with each request: `Authorization: Bearer …`. It is valid for `expires_in` seconds; then
[refresh_tokens][refresh] exchanges the refresh token for a new pair. A browser app of another
origin can use the API if the service allows its origin (`CORS_ALLOWED_ORIGINS`).

**Answers** are JSON objects. `data` is what you asked for. With tweets come `includes`, the users
and tweets that `data` refers to, `viewer`, what you did to these tweets, and `meta`. Ids are
strings, and order by time. Times are UTC. Positions in `entities` count Unicode code points,
which are not the positions of a JavaScript string: `Array.from(text).slice(start, end).join("")`.

**Pages.** `limit` is 1 to 100. The `Link` header's `rel="next"` is the address of the next page;
without it this was the last. `meta.next_cursor` says the same: send it as `max_id` for tweets, as
`cursor` for users. [home_updates][updates] reads what is new since then.

**Errors** are `application/problem+json` (RFC 9457). Compare `type`, which never changes;
`detail` is for people. `errors` names each field that was wrong, and a field that does not exist
is wrong as well.

| status | `type` | what to do |
|---|---|---|
| 400 | `/problems/invalid-input` | correct the fields that `errors` names |
| 401 | `/problems/expired-token`, `/problems/invalid-token` | refresh, once, and repeat it |
| 401 | the same from refreshing, and `/problems/unauthenticated` | log in |
| 403 | `/problems/forbidden` | it is not yours |
| 404 | `/problems/not-found` | it is not there, or you may not see it |
| 409 | `/problems/conflict` and others | something else is there already |
| 413, 415 | `/problems/too-large`, `/problems/unsupported-media-type` | send less, as JSON |
| 429 | `/problems/rate-limited` | wait as many seconds as `Retry-After` says |
| 503 | `/problems/unavailable`, `/problems/busy` | the same |

All types are in the repository, in `docs/errors.md`; `docs/api.md` goes from sign-up to paging,
with examples to paste.

**Limits.** Reads, writes, log-ins, sign-ups and exports are counted for each user, session and
address. The `RateLimit` header says how you stand.

This page as OpenAPI 3.1: [/api/schema/](/api/schema/).

[create]: #/Sign-up%20and%20sessions/create_account
[log_in]: #/Sign-up%20and%20sessions/log_in
[refresh]: #/Sign-up%20and%20sessions/refresh_tokens
[updates]: #/Timelines/home_updates
"""
