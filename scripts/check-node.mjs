// Imported first, for its effect: the other scripts use what older versions lack. Keep the syntax here old.
const wanted = [20, 19];
const found = process.versions.node.split('.').map(Number);

if (found[0] < wanted[0] || (found[0] === wanted[0] && found[1] < wanted[1])) {
  process.stderr.write(
    `posthorn: needs Node.js ${wanted.join('.')} or later and this is ${process.versions.node}: ` +
      'install a current one from https://nodejs.org (or `nvm install --lts`)\n',
  );
  process.exit(1);
}
