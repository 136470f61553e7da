FROM python:3.13-slim AS base
FROM base AS deps
COPY --from=ghcr.io/astral-sh/uv:0.5 /uv /usr/local/bin/uv
WORKDIR /deps
COPY pyproject.toml uv.lock ./
RUN --mount=type=secret,id=index_netrc,target=/root/.netrc,required \
    --mount=type=cache,id=uv,target=/root/.cache/uv \
    uv sync --frozen --no-dev
FROM base
COPY --from=deps --chown=1000:1000 /deps/.venv /srv/.venv
COPY --chown=1000:1000 app /srv/app
USER 1000:1000
WORKDIR /srv
CMD [".venv/bin/python", "-m", "app"]
