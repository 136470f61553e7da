FROM golang:1.23 AS build
RUN mkdir -m 0700 /root/.ssh && ssh-keyscan git.example.org >> /root/.ssh/known_hosts
ENV GOPRIVATE=git.example.org
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=ssh --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod go build -o /svc .
FROM debian:bookworm-slim
COPY --from=build /svc /usr/local/bin/svc
CMD ["svc"]
