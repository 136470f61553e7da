FROM gradle:8-jdk21 AS build
COPY --chown=gradle:gradle . /home/gradle/src
WORKDIR /home/gradle/src
RUN gradle bootJar --no-daemon

FROM eclipse-temurin:21-jre AS layers
WORKDIR /x
COPY --from=build /home/gradle/src/build/libs/app.jar app.jar
RUN java -Djarmode=layertools -jar app.jar extract

FROM eclipse-temurin:21-jre
WORKDIR /app
COPY --from=layers /x/dependencies/ ./
COPY --from=layers /x/spring-boot-loader/ ./
COPY --from=layers /x/snapshot-dependencies/ ./
COPY --from=layers /x/application/ ./
USER 10001
ENTRYPOINT ["java", "org.springframework.boot.loader.launch.JarLauncher"]
