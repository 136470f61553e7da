FROM golang:1.23 AS build
COPY go.work ./
COPY services/api services/api
COPY vendor vendor
COPY bin/tool /usr/bin/tool
ADD docs/manual.pdf /docs/
RUN go build ./services/api
FROM scratch
COPY --from=build /go/api /api
