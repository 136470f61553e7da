# One file for all services; build with --target.
ARG NODE_VERSION=20
FROM node:${NODE_VERSION} AS workspace
WORKDIR /repo
COPY . .
RUN npm ci --workspaces

FROM workspace AS gateway
RUN npm run build --workspace gateway
CMD ["node", "gateway/dist/main.js"]

FROM workspace AS billing
RUN npm run build --workspace billing
CMD ["node", "billing/dist/main.js"]

FROM python:3.12 AS reports
COPY services/reports /srv
RUN pip install /srv

FROM workspace
CMD ["npm", "run", "dev"]
