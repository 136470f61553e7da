FROM busybox:1.36 AS src
WORKDIR /src
COPY --exclude=*.md --exclude=**/testdata . .
COPY --parents assets/./img/*.png /static/
COPY --link --chown=101:101 site /usr/share/site
COPY --chmod=u=rwX,go=rX scripts/ /usr/local/bin/
FROM scratch
COPY --from=src --link /src /src
