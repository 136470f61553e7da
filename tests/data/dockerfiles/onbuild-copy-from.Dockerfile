FROM busybox:1.36 AS assets
RUN mkdir /assets && echo body > /assets/site.css
FROM busybox:1.36 AS kit
ONBUILD COPY --from=assets /assets /srv/assets
ONBUILD RUN --mount=type=bind,from=assets,source=/assets,target=/mnt ls /mnt
FROM kit AS site
COPY index.html /srv/
FROM site AS final
CMD ["ls", "-R", "/srv"]
