FROM eclipse-temurin:21 AS jre
RUN ["jlink", "--add-modules", "java.base,java.logging", "--strip-debug", "--output", "/jre"]
FROM debian:bookworm-slim
COPY --from=jre /jre /opt/jre
ENV JAVA_HOME=/opt/jre PATH=/opt/jre/bin:$PATH
COPY app.jar /opt/app.jar
STOPSIGNAL SIGTERM
CMD ["java", "-jar", "/opt/app.jar"]
