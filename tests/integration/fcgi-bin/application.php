<?php
// What it does: application.c; but it waits for nobody. It tells what PHP has made of a form, too.

function tell() {
    $body = file_get_contents('php://input');
    $files = [];
    foreach ($_FILES as $name => $file) {
        $files[$name] = [
            'name' => $file['name'],
            'type' => $file['type'],
            'length' => filesize($file['tmp_name']),
            'adler32' => hexdec(hash_file('adler32', $file['tmp_name'])),
        ];
    }
    header('Content-Type: application/json');
    echo json_encode([
        'language' => 'PHP',
        'body_length' => strlen($body),
        'body_adler32' => hexdec(hash('adler32', $body)),
        'env' => $_SERVER,
        'get' => $_GET,
        'post' => $_POST,
        'files' => $files,
        'user_agent' => ini_get('user_agent'),
    ]);
}

function say() {
    foreach (explode('~', rawurldecode($_SERVER['QUERY_STRING'])) as $line) {
        header($line, false);
    }
    echo 'said';
}

function stderr() {
    trigger_error('the first complaint of PHP', E_USER_WARNING);
    trigger_error('the second complaint of PHP', E_USER_WARNING);
    echo 'complained';
}

$verb = explode('/', $_SERVER['PATH_INFO'] ?? '')[1] ?? '';
match ($verb) {
    'say' => say(),
    'echo' => print file_get_contents('php://input'),
    'large' => print str_repeat('x', (int) $_SERVER['QUERY_STRING']),
    'early' => print 'early',
    'stderr' => stderr(),
    'exit' => print 'delivered',
    default => tell(),
};
