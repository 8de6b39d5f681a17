#!/usr/bin/perl
# A FastCGI application on FCGI.pm, on the listening socket that is its descriptor 0. What it does: application.c; but
# it waits for nobody.
use strict;
use warnings;
use Compress::Raw::Zlib ();
use FCGI;
use JSON::PP;

my %env;
my $request = FCGI::Request(\*STDIN, \*STDOUT, \*STDERR, \%env, 0);

sub body {
    my ($body, $piece) = ('', '');
    while (read(STDIN, $piece, 65536)) { $body .= $piece }
    return $body;
}

sub begin { print "Content-Type: $_[0]\r\n\r\n" }

sub tell {
    my $body = body();
    my %told = map { my $value = $env{$_}; utf8::decode($value); $_ => $value } keys %env;
    begin('application/json');
    print JSON::PP->new->utf8->encode({
        language     => 'Perl',
        body_length  => length $body,
        body_adler32 => Compress::Raw::Zlib::adler32($body),
        env          => \%told,
    });
}

sub say {
    my $lines = $env{QUERY_STRING};
    $lines =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    $lines =~ s/~/\r\n/g;
    print "$lines\r\n\r\nsaid";
}

my %verbs = (
    say    => \&say,
    echo   => sub { my $body = body(); begin('application/octet-stream'); print $body },
    large  => sub { begin('application/octet-stream'); print 'x' x $env{QUERY_STRING} },
    early  => sub { begin('text/plain'); print 'early' },
    stderr => sub {
        print STDERR "the first complaint of Perl\nthe second complaint of Perl\n";
        begin('text/plain');
        print 'complained';
    },
    exit => sub { begin('text/plain'); print 'delivered' },
);

while ($request->Accept() >= 0) {
    my ($verb) = ($env{PATH_INFO} // '') =~ m{^/([^/]*)};
    ($verbs{ $verb // '' } // \&tell)->();
    $request->Finish();
}
