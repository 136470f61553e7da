FROM node:22-slim AS base
ENV PNPM_HOME=/pnpm PATH=/pnpm:$PATH
RUN corepack enable

FROM base AS prune
WORKDIR /repo
COPY pnpm-lock.yaml pnpm-workspace.yaml package.json ./
COPY --parents packages/*/package.json apps/*/package.json ./
RUN --mount=type=cache,id=pnpm,target=/pnpm/store pnpm install --frozen-lockfile

FROM prune AS build-api
COPY packages packages
COPY apps/api apps/api
RUN pnpm --filter api build && pnpm deploy --filter api --prod /out

FROM prune AS build-web
COPY packages packages
COPY apps/web apps/web
RUN pnpm --filter web build

FROM base AS web
COPY --from=build-web /repo/apps/web/.next /srv/.next
CMD ["node", "/srv/.next/standalone/server.js"]

FROM base AS api
COPY --from=build-api /out /srv/api
WORKDIR /srv/api
CMD ["node", "dist/index.js"]
