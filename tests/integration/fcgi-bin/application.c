/* A FastCGI application on libfcgi, as somebody writes it who has read libfcgi's examples: one request at a time, on
 * the listening socket that is its descriptor 0. The first segment of PATH_INFO says what it does; application.pl and
 * application.php do the same:
 *
 *   tell    JSON: its whole environment, and what its body was like (anything unknown does that, too)
 *   say     the header lines that the query has, percent-decoded, with "~" between them, and "said"
 *   echo    its body
 *   large   as many bytes as the query says
 *   early   answers without a look at its body
 *   wait    says that it waits, in a file, and does until somebody writes into the pipe $GATE
 *   stderr  complains twice
 *   exit    ends the request with exit status 7
 */
#include <fcgiapp.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static FCGX_Request request;

static void begin(const char* type) {
  FCGX_FPrintF(request.out, "Content-Type: %s\r\n\r\n", type);
}

static const char* parameter(const char* name) {
  const char* value = FCGX_GetParam(name, request.envp);
  return value != NULL ? value : "";
}

static void put_string(const char* text, size_t length) {
  FCGX_PutChar('"', request.out);
  for (size_t i = 0; i < length; ++i) {
    const unsigned char byte = (unsigned char)text[i];
    if (byte == '"' || byte == '\\' || byte < 0x20) {
      FCGX_FPrintF(request.out, "\\u%04x", byte);
    } else {
      FCGX_PutChar(byte, request.out);
    }
  }
  FCGX_PutChar('"', request.out);
}

/* Doubled ones twice: the reader of the JSON may see that. */
static void put_environment(void) {
  const char* separator = "";
  FCGX_PutS("\"env\": {", request.out);
  for (char** entry = request.envp; *entry != NULL; ++entry) {
    const size_t length = strcspn(*entry, "=");
    FCGX_PutS(separator, request.out);
    put_string(*entry, length);
    FCGX_PutS(": ", request.out);
    put_string(*entry + length + 1, strlen(*entry + length + 1));
    separator = ", ";
  }
  FCGX_PutS("}", request.out);
}

/* Two requests of one connection have the same; the kernel gives none away again soon. */
static unsigned long connection(void) {
  struct stat about;
  return fstat(request.ipcFd, &about) == 0 ? (unsigned long)about.st_ino : 0;
}

static void tell(void) {
  static char piece[65536];
  unsigned long length = 0, a = 1, b = 0; /* of Adler-32 */
  for (int count; (count = FCGX_GetStr(piece, sizeof piece, request.in)) > 0;) {
    length += (unsigned long)count;
    for (int i = 0; i < count; ++i) {
      a = (a + (unsigned char)piece[i]) % 65521;
      b = (b + a) % 65521;
    }
  }
  begin("application/json");
  FCGX_FPrintF(request.out, "{\"language\": \"C\", \"connection\": %lu, ", connection());
  FCGX_FPrintF(request.out, "\"body_length\": %lu, \"body_adler32\": %lu, ", length, b << 16 | a);
  put_environment();
  FCGX_PutS("}", request.out);
}

static void say(void) {
  for (const char* at = parameter("QUERY_STRING"); *at != '\0'; ++at) {
    unsigned byte = (unsigned char)*at;
    if (byte == '%' && sscanf(at + 1, "%2x", &byte) == 1) at += 2;
    if (byte == '~') {
      FCGX_PutS("\r\n", request.out);
    } else {
      FCGX_PutChar((int)byte, request.out);
    }
  }
  FCGX_PutS("\r\n\r\nsaid", request.out);
}

static void echo(void) {
  static char piece[65536];
  begin("application/octet-stream");
  for (int count; (count = FCGX_GetStr(piece, sizeof piece, request.in)) > 0;) {
    FCGX_PutStr(piece, count, request.out);
  }
}

static void large(void) {
  const long length = strtol(parameter("QUERY_STRING"), NULL, 10);
  begin("application/octet-stream");
  for (long i = 0; i < length; ++i) FCGX_PutChar('x', request.out);
}

static void early(void) {
  begin("text/plain");
  FCGX_PutS("early", request.out);
}

static void wait_at_the_gate(void) {
  const char* gate = parameter("GATE");
  char name[4096];
  snprintf(name, sizeof name, "%s.started.%d", gate, (int)getpid());
  close(open(name, O_CREAT | O_WRONLY, 0644));
  close(open(gate, O_RDONLY));
  begin("text/plain");
  FCGX_PutS("through", request.out);
}

static void complain(void) {
  FCGX_PutS("the first complaint of C\nthe second complaint of C\n", request.err);
  begin("text/plain");
  FCGX_PutS("complained", request.out);
}

static void exit_with_7(void) {
  begin("text/plain");
  FCGX_PutS("delivered", request.out);
  FCGX_SetExitStatus(7, request.out);
}

static void answer(void) {
  static const struct {
    const char* name;
    void (*run)(void);
  } verbs[] = {
      {"say", say},         {"echo", echo},        {"large", large}, {"early", early}, {"wait", wait_at_the_gate},
      {"stderr", complain}, {"exit", exit_with_7}, {NULL, tell}};
  const char* path = parameter("PATH_INFO");
  if (*path == '/') ++path;
  const size_t length = strcspn(path, "/");
  int verb = 0;
  while (verbs[verb].name != NULL && (strlen(verbs[verb].name) != length || strncmp(verbs[verb].name, path, length))) {
    ++verb;
  }
  verbs[verb].run();
}

int main(void) {
  if (FCGX_Init() != 0 || FCGX_InitRequest(&request, 0, 0) != 0) return 1;
  while (FCGX_Accept_r(&request) == 0) {
    answer();
    FCGX_Finish_r(&request);
  }
}
