/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end of the network with the real worker and a real broker on loopback. */
#include "base/clock.h"
#include "base/text.h"
#include "sync/mqtt_client.h"
#include "mqtt/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
/* after the standard headers */
#include <cmocka.h>

#define PATIENCE (30 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        pid_t broker;
        unsigned port;
        MqttSettings settings;
        MqttClient *client;
        unsigned links, acknowledged, messages;
        bool connected;
        uint64_t last_token;
        char sentence[512], topic[128], payload[128];
        bool too_large;
} Fixture;

static void on_link(void *userdata, bool connected, const char *sentence) {
        Fixture *f = userdata;

        f->links++;
        f->connected = connected;
        snprintf(f->sentence, sizeof(f->sentence), "%s", sentence);
}

static void on_acknowledged(void *userdata, uint64_t token) {
        Fixture *f = userdata;

        f->acknowledged++;
        f->last_token = token;
}

static void on_message(void *userdata, const MqttMessage *m) {
        Fixture *f = userdata;

        f->messages++;
        snprintf(f->topic, sizeof(f->topic), "%s", m->topic);
        snprintf(f->payload, sizeof(f->payload), "%.*s", (int)MIN(m->n_payload, 100),
                 (const char *)m->payload);
        f->too_large = m->too_large;
}

static void on_trouble(void *userdata, const char *sentence) {
        fail_msg("%s", sentence ? sentence : "no longer");
}

/* Nobody has subscribed to what these tests say. */
static void on_refused(void *userdata, uint64_t token, unsigned reason, const char *sentence) {
        assert_int_equal(reason, MQTT_REASON_NOBODY);
        on_acknowledged(userdata, token);
}

static const MqttHandlers handlers = {on_link, on_trouble, on_acknowledged, on_refused, on_message};

static unsigned free_port(void) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t n = sizeof(a);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
        return ntohs(a.sin_port);
}

static void start_broker(Fixture *f) {
        _cleanup_free_ char *port = text_printf("%u", f->port);
        char *argv[] = {(char *)"mosquitto", (char *)"-p", port, NULL};
        posix_spawn_file_actions_t actions;

        assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
        assert_int_equal(posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0), 0);
        if (posix_spawn(&f->broker, "/usr/sbin/mosquitto", &actions, NULL, argv, environ) != 0)
                fail_msg("mosquitto is not installed; it is among the Build-Depends of debian/control");
        posix_spawn_file_actions_destroy(&actions);
}

static void stop_broker(Fixture *f) {
        if (f->broker <= 0)
                return;
        assert_int_equal(kill(f->broker, SIGKILL), 0);
        assert_int_equal(waitpid(f->broker, NULL, 0), f->broker);
        f->broker = 0;
}

static MqttClient *new_client(Fixture *f, const char *workers, const char *cabinet,
                              const char *const *topics) {
        MqttOptions options = {
                .settings = &f->settings,
                .worker_directory = workers,
                .cabinet = cabinet,
                .will_topic = "t/state",
                .will = "gone",
                .subscriptions = topics,
        };
        MqttClient *c = NULL;

        assert_int_equal(mqtt_client_new(&c, f->event, &options, &handlers, f), 0);
        return c;
}

/* Turns the loop until the condition holds; false when it never does. */
#define WAIT(f, condition)                                                              \
        ({                                                                              \
                uint64_t _until = clock_now().boot_usec + PATIENCE;                     \
                while (!(condition) && clock_now().boot_usec < _until)                  \
                        assert_true(sd_event_run((f)->event, 50 * USEC_PER_MSEC) >= 0); \
                (condition);                                                            \
        })

static int setup(void **state) {
        static const char *const topics[] = {"t/command/+", NULL};
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        assert_int_equal(sd_event_new(&f->event), 0);
        f->port = free_port();
        f->settings = (MqttSettings){
                .host = (char *)"localhost",
                .port = f->port,
                .keepalive_usec = 60 * USEC_PER_SEC,
                .session_expiry_usec = 60 * USEC_PER_SEC,
                .backoff_min_usec = 20 * USEC_PER_MSEC,
                .backoff_max_usec = 200 * USEC_PER_MSEC,
                .window = 20,
        };
        start_broker(f);
        f->client = new_client(f, getenv("WORKERS"), "T1", topics);
        assert_true(WAIT(f, f->connected));
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        mqtt_client_free(f->client);
        stop_broker(f);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

static int publish(Fixture *f, uint64_t token, const char *topic, const char *payload) {
        return mqtt_client_publish(f->client, token, topic, payload, strlen(payload), false, NULL, NULL);
}

/* The worker: the child that is not the broker. */
static pid_t find_worker(const Fixture *f) {
        _cleanup_free_ char *path = text_printf("/proc/%d/task/%d/children", getpid(), getpid());
        FILE *file = fopen(path, "re");
        int pid, found = 0;

        assert_non_null(file);
        while (fscanf(file, "%d", &pid) == 1)
                if (pid != f->broker)
                        found = pid;
        fclose(file);
        assert_true(found > 0);
        return found;
}

static void test_client_publishes_and_receives(void **state) {
        Fixture *f = *state;

        assert_true(mqtt_client_is_connected(f->client));
        assert_int_equal(publish(f, 7, "t/event/x", "{}"), 0);
        assert_true(WAIT(f, f->last_token == 7));
        /* Nobody asks about this one, and it comes back to us. */
        assert_int_equal(publish(f, 0, "t/command/open", "please"), 0);
        assert_true(WAIT(f, f->messages == 1));
        assert_string_equal(f->topic, "t/command/open");
        assert_string_equal(f->payload, "please");
        assert_false(f->too_large);
        assert_int_equal(f->acknowledged, 1);
}

static void test_client_refuses_what_cannot_be_sent(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *long_text = calloc(1, MQTT_PAYLOAD_MAX + 2);

        assert_non_null(long_text);
        memset(long_text, 'x', MQTT_PAYLOAD_MAX + 1);
        assert_int_equal(publish(f, 1, "t", long_text), -EMSGSIZE);
        assert_int_equal(publish(f, 1, long_text, "x"), -EMSGSIZE);
        assert_int_equal(mqtt_client_publish(f->client, 1, "t", "", 0, false, NULL, "0x"), -EINVAL);
        assert_int_equal(mqtt_client_publish(f->client, 1, "t", "", 0, false, NULL, "abc"), -EINVAL);
        assert_int_equal(
                mqtt_client_publish(f->client, 1, "t", long_text, MQTT_PAYLOAD_MAX, false, NULL, "ab"), 0);
        assert_true(WAIT(f, f->acknowledged == 1));
}

static void test_client_says_when_too_much_is_under_way(void **state) {
        Fixture *f = *state;
        unsigned sent = 0;
        int r;

        assert_int_equal(kill(f->broker, SIGSTOP), 0);
        while ((r = publish(f, sent + 1, "t/event/x", "{}")) == 0 && sent < 10000) {
                sent++;
                assert_true(sd_event_run(f->event, 0) >= 0);
        }
        assert_int_equal(r, -EAGAIN);
        assert_in_range(sent, 100, MQTT_UNDER_WAY_MAX);
        assert_int_equal(f->acknowledged, 0);
        assert_int_equal(kill(f->broker, SIGCONT), 0);
        assert_true(WAIT(f, f->acknowledged == sent));
        assert_int_equal(publish(f, 1, "t/event/x", "{}"), 0);
        assert_true(WAIT(f, f->acknowledged == sent + 1));
}

static int queue(Fixture *f, uint64_t token, const char *payload) {
        return mqtt_client_queue(f->client, token, "t/event/x", payload, strlen(payload), NULL);
}

static void test_client_queue_leaves_together(void **state) {
        Fixture *f = *state;
        uint64_t until = clock_now().boot_usec + 300 * USEC_PER_MSEC;
        unsigned n = 0;
        int r;

        assert_int_equal(mqtt_client_flush(f->client), 0); /* of nothing */
        while ((r = queue(f, n + 1, "{\"a\":1}")) == 0)
                n++;
        assert_int_equal(r, -ENOBUFS);
        assert_in_range(n, 100, MQTT_UNDER_WAY_MAX);
        while (clock_now().boot_usec < until)
                assert_true(sd_event_run(f->event, 50 * USEC_PER_MSEC) >= 0);
        assert_int_equal(f->acknowledged, 0);
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_int_equal(queue(f, n + 1, "{}"), 0);
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_true(WAIT(f, f->acknowledged == n + 1));
        assert_int_equal(f->last_token, n + 1);
}

static void test_client_queue_takes_one_that_is_large(void **state) {
        Fixture *f = *state;
        _cleanup_free_ char *text = calloc(1, MQTT_PAYLOAD_MAX + 2);

        assert_non_null(text);
        memset(text, 'x', MQTT_PAYLOAD_MAX + 1);
        assert_int_equal(queue(f, 1, text), -EMSGSIZE);
        text[MQTT_PAYLOAD_MAX] = 0;
        assert_int_equal(queue(f, 2, "{}"), 0);
        assert_int_equal(queue(f, 3, text), -ENOBUFS);
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_int_equal(queue(f, 3, text), 0);
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_true(WAIT(f, f->last_token == 3));
}

/* What was queued when the link went is forgotten, not sent later. */
static void test_client_queue_without_link_is_forgotten(void **state) {
        Fixture *f = *state;

        assert_int_equal(queue(f, 5, "{}"), 0);
        stop_broker(f);
        assert_true(WAIT(f, !f->connected));
        assert_int_equal(queue(f, 6, "{}"), -ENOTCONN);
        assert_int_equal(mqtt_client_flush(f->client), -ENOTCONN);
        start_broker(f);
        assert_true(WAIT(f, f->connected));
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_int_equal(queue(f, 7, "{}"), 0);
        assert_int_equal(mqtt_client_flush(f->client), 0);
        assert_true(WAIT(f, f->acknowledged == 1));
        assert_int_equal(f->last_token, 7);
}

static void test_client_broker_gone_is_told_once(void **state) {
        Fixture *f = *state;
        unsigned links = f->links;

        stop_broker(f);
        assert_true(WAIT(f, !f->connected));
        assert_int_equal(publish(f, 1, "t", "x"), -ENOTCONN);
        assert_true(WAIT(f, strstr(f->sentence, "refused")));
        /* Attempts go on; the sentence is the same. */
        uint64_t until = clock_now().boot_usec + 2 * USEC_PER_SEC;
        while (clock_now().boot_usec < until)
                assert_true(sd_event_run(f->event, 50 * USEC_PER_MSEC) >= 0);
        assert_in_range(f->links - links, 1, 3);
        start_broker(f);
        assert_true(WAIT(f, f->connected));
}

static void test_client_killed_worker_is_replaced(void **state) {
        Fixture *f = *state;
        pid_t first = find_worker(f);

        assert_int_equal(kill(first, SIGKILL), 0);
        assert_true(WAIT(f, !f->connected));
        assert_non_null(strstr(f->sentence, "signal 9"));
        assert_true(WAIT(f, f->connected));
        assert_int_not_equal(find_worker(f), first);
        assert_int_equal(publish(f, 9, "t/event/x", "{}"), 0);
        assert_true(WAIT(f, f->last_token == 9));
}

static void test_client_hanging_worker_is_replaced(void **state) {
        Fixture *f = *state;

        assert_int_equal(kill(find_worker(f), SIGSTOP), 0);
        assert_true(WAIT(f, !f->connected));
        assert_true(WAIT(f, f->connected));
}

static void test_client_leaves_and_the_will_is_published(void **state) {
        static const char *const topics[] = {"t/+", NULL}; /* the will's topic itself would not come back */
        Fixture *f = *state;
        Fixture other = {.event = f->event, .settings = f->settings};
        uint64_t before;

        other.client = new_client(&other, getenv("WORKERS"), "T2", topics);
        assert_true(WAIT(&other, other.connected));
        /* Its own message coming back shows that the subscription is made. */
        assert_int_equal(publish(&other, 0, "t/state", "here"), 0);
        assert_true(WAIT(&other, other.messages == 1));
        assert_int_equal(publish(f, 1, "t/event/x", "{}"), 0);
        before = clock_now().boot_usec;
        f->client = mqtt_client_free(f->client);
        assert_true(clock_now().boot_usec - before < 2 * USEC_PER_SEC);
        assert_true(WAIT(&other, other.messages == 2));
        assert_string_equal(other.payload, "gone");
        mqtt_client_free(other.client);
}

static void test_client_missing_worker_is_told(void **state) {
        Fixture *f = *state;
        Fixture other = {.event = f->event, .settings = f->settings};

        other.client = new_client(&other, "/nonexistent", "T2", NULL);
        assert_true(WAIT(&other, other.links == 1));
        assert_non_null(strstr(other.sentence, "cannot be started: No such file"));
        mqtt_client_free(other.client);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_client_publishes_and_receives),
                TEST(test_client_refuses_what_cannot_be_sent),
                TEST(test_client_says_when_too_much_is_under_way),
                TEST(test_client_queue_leaves_together),
                TEST(test_client_queue_takes_one_that_is_large),
                TEST(test_client_queue_without_link_is_forgotten),
                TEST(test_client_broker_gone_is_told_once),
                TEST(test_client_killed_worker_is_replaced),
                TEST(test_client_hanging_worker_is_replaced),
                TEST(test_client_leaves_and_the_will_is_published),
                TEST(test_client_missing_worker_is_told),
        };

        if (!getenv("WORKERS"))
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
