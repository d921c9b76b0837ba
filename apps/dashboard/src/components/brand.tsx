import logo from '../posthorn.svg';

export function Brand() {
  return (
    <span className="flex items-center gap-2 text-lg font-semibold">
      <img src={logo} alt="" width="28" height="28" />
      Posthorn
    </span>
  );
}
