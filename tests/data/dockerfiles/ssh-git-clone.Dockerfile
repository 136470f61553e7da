FROM alpine:3.20 AS clone
RUN apk add --no-cache git openssh-client
RUN --mount=type=ssh,id=deploy,required=true git clone git@git.example.org:team/app.git /app
FROM alpine:3.20
COPY --from=clone /app /app
