FROM debian:bookworm-slim AS fetch
RUN --mount=type=secret,id=github_token,env=GITHUB_TOKEN \
    --mount=type=secret,id=aws,target=/root/.aws/credentials,mode=0400,uid=0,gid=0 \
    test -n "$GITHUB_TOKEN"
FROM fetch AS bad
ARG AWS_SECRET_ACCESS_KEY
ENV API_TOKEN=x SSH_PUBLIC_KEY=y PASSWORD_FILE=/run/secrets/p
FROM debian:bookworm-slim
COPY --from=fetch /etc/hostname /from
