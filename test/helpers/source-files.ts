// Reads `src` as text and as syntax, for the tests that hold its structure.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** The checkout's top folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** One import, export-from or `import()`. `target` is a path below `src` when it is one of ours, else null. */
export interface Import {
  readonly line: number
  readonly specifier: string
  readonly target: string | null
}

/** One TypeScript file below `src`; `path` is relative to it, with slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly imports: readonly Import[]
  /** Lines that declare an enum. */
  readonly enums: readonly number[]
  /** Lines that touch `process.env`. */
  readonly environment: readonly number[]
}

/** Parses one file; `path` is what it is called below `src`. */
export const parseSource = (path: string, text: string): SourceFile => {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true)
  const lineOf = (node: ts.Node) => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1
  const imports: Import[] = []
  const enums: number[] = []
  const environment: number[] = []
  const add = (node: ts.Node, specifier: string) => {
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts') : null
    imports.push({ line: lineOf(node), specifier, target })
  }
  const visit = (node: ts.Node): void => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      add(node, node.moduleSpecifier.text)
    }
    const argument = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword ? node.arguments[0] : undefined
    if (argument && ts.isStringLiteral(argument)) add(node, argument.text)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      add(node, node.argument.literal.text)
    }
    if (ts.isEnumDeclaration(node)) enums.push(lineOf(node))
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'env' && node.expression.getText(source) === 'process') {
      environment.push(lineOf(node))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return { path, text, imports, enums, environment }
}

/** Every TypeScript file below `src`, sorted by path. */
export const readSource = (): SourceFile[] => {
  const src = join(root, 'src')
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => parseSource(relative(src, path).split(sep).join('/'), readFileSync(path, 'utf8')))
}

/** The folder of a path below `src`, or the file's own name without `.ts` at the top. */
export const floorOf = (path: string): string => {
  const folder = dirname(path)
  return folder === '.' ? path.replace(/\.ts$/, '') : (folder.split('/')[0] as string)
}
